"""Experiments with lists: who sees which variant, what came of it, and what can be said of the difference.

Pure logic; what a variant changes is a setting of `online_models.items`.
"""
