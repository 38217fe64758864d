"""The trainer agent: what it publishes, and when it tells what its models are worth."""

import json

from online_models.churn.trainer import TrainerSettings
from streams.agents.trainer import TrainerHandler
from streams.engine.handler import Record
from streams.metrics import Metrics
from tests.online_models.churn.test_experts import stream

SETTINGS = TrainerSettings(min_labels=20, publish_every=200, window=1024)


def quality(metrics, metric="labels"):
    return metrics.value("keepstream_model_quality", model="churn", metric=metric)


def record(examples, offset):
    return Record(0, offset, None, examples.pack())


def test_quality_is_told_with_a_published_model_and_once_more_after_a_restore():
    metrics, examples = Metrics(), stream(600)
    trainer = TrainerHandler(SETTINGS, "models", metrics)
    told = []
    for offset, start in enumerate(range(0, len(examples), 20)):
        published = trainer.apply([record(examples.take(slice(start, start + 20)), offset)])
        labels = quality(metrics)
        if published:
            assert labels == json.loads(published[0].value)["examples"]
            told.append(labels)
        elif told:
            assert labels == told[-1]
    assert 1 < len(told) < offset
    fresh = Metrics()
    again = TrainerHandler(SETTINGS, "models", fresh)
    again.restore(trainer.dirty_rows())
    again.restored()
    card = trainer.store.card()
    assert quality(fresh) == card["churn_labels"] > told[0]
    assert quality(fresh, "auc") == card["churn_auc"]
