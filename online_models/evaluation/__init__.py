"""Judging the models: prequential metrics and baselines. Nothing here feeds back into a model."""
