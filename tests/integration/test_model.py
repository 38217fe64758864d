"""`keepstream model` on real brokers: what can be had, going back, and forward again, as scorers see it."""

import json

import numpy as np
import pytest
from confluent_kafka import Producer

from online_models.churn.features import FEATURE_NAMES
from online_models.churn.scorer import ChurnScorer
from online_models.items.features import RANK_FEATURES
from online_models.items.rank_examples import RankExamples
from online_models.items.rank_trainer import RankTrainerSettings, RankTrainerStore
from online_models.items.settings import CooccurrenceSettings
from streams import clients, encode, topics
from streams.agents.broadcast import Broadcast
from streams.agents.documents import model_snapshot, ranker_snapshot
from streams.cli import run
from streams.model_rows import DAYS, day_key
from tests.integration.shop import Shop, wait_until, workers

DAY = 86_400_000
COUNT = len(FEATURE_NAMES)


def scorer(version, *, ready=True):
    card = {"churn_labels": 100.0 * version, "churn_auc": 0.7 + version / 1000}
    return ChurnScorer(version, np.full(COUNT, version / 10), -1.0, np.zeros(COUNT), 0.25, ready, card)


@pytest.fixture
def publish(settings):
    """Publish a version as the trainer does."""
    topics.ensure(settings)
    producer = Producer(clients.confluent(settings.broker))

    def publish(version, day=0, *, ready=True):
        snapshot = model_snapshot(scorer(version, ready=ready), day * DAY)
        key, value = encode.encode_snapshot(snapshot)
        for one in (key, day_key("churn", snapshot.event_time)):
            producer.produce(topics.MODELS.full_name(settings), value, one, 0)
        assert producer.flush(20) == 0

    return publish


@pytest.fixture
def model(settings, capsys):
    """Run the command and return its exit code, output and complaints."""

    def model(*arguments):
        reach = ["--bootstrap-servers", settings.broker.bootstrap_servers]
        code = run(["model", *arguments, *reach, "--topic-prefix", settings.broker.topic_prefix])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return model


@pytest.fixture
async def broadcast(settings):
    """What a worker scores with."""
    topics.ensure(settings)
    found = Broadcast(
        clients.confluent(settings.broker),
        topics.NEIGHBOURS.full_name(settings),
        topics.MODELS.full_name(settings),
        CooccurrenceSettings(),
        horizon_ms=28 * DAY,
    )
    found.start()
    yield found
    found.stop()


async def eventually(condition):
    import asyncio

    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


class TestList:
    def test_versions_with_measures_the_newest_first(self, publish, model):
        publish(1, ready=False), publish(2, 1), publish(10, 2)
        rows = json.loads(model("list", "--json")[1])
        assert [row["model_version"] for row in rows] == ["churn-10", "churn-2", "churn-1"]
        assert rows[0]["used"]
        assert rows[0]["newest"]
        assert rows[0]["metrics"]["churn_auc"] == 0.71
        out = model("list")[1]
        assert "churn-10" in out
        assert "used, newest" in out
        assert "too few labels" in out

    def test_none_yet_is_said(self, settings, model):
        topics.ensure(settings)
        assert model("list")[:2] == (
            0,
            "there is no model yet: it needs labels, which mature after the horizon\n",
        )
        assert model("show")[0] == 1

    def test_one_a_day_has_a_key_of_its_own(self):
        keys = {day_key("churn", day * DAY) for day in range(100)}
        assert len(keys) == DAYS


class TestShow:
    def test_weights_by_feature(self, publish, model):
        publish(3)
        card = json.loads(model("show", "churn-3", "--json")[1])
        assert card["weights"][FEATURE_NAMES[0]] == pytest.approx(0.3)
        assert card["threshold"] == 0.25
        out = model("show")[1]
        assert FEATURE_NAMES[0] in out
        assert "+0.3000" in out

    def test_a_version_that_is_gone_names_those_that_are_left(self, publish, model):
        publish(3)
        code, _, err = model("show", "churn-2")
        assert code == 1
        assert "no version 'churn-2' is left; there are churn-3" in err


class TestRollback:
    async def test_every_scorer_goes_back_and_stays_there_while_the_trainer_publishes(
        self, publish, model, broadcast, settings
    ):
        publish(1), publish(2, 1)
        await eventually(lambda: broadcast.scorer is not None and broadcast.scorer.version == 2)
        code, out, _ = model("rollback", "churn-1", "--reason", "a broken tracker")
        assert code == 0
        assert "scores with churn-1 from now on; the newest is churn-2" in out
        await eventually(lambda: broadcast.scorer.version == 1)
        publish(3, 2)
        await eventually(lambda: broadcast.newest.model_version == "churn-3")
        assert broadcast.scorer.version == 1
        assert broadcast.snapshot.model_version == "churn-1"

        rows = {row["model_version"]: row for row in json.loads(model("list", "--json")[1])}
        assert rows["churn-1"]["pinned"]
        assert rows["churn-1"]["used"]
        assert rows["churn-3"]["newest"]
        assert not rows["churn-3"]["used"]
        assert "a broken tracker" in model("list")[1]

        assert "churn-1 is released" in model("resume")[1]
        await eventually(lambda: broadcast.scorer.version == 3)
        assert "nothing is pinned" in model("resume")[1]

    async def test_a_worker_that_starts_later_scores_with_the_pinned_version(self, publish, model, settings):
        publish(1), publish(2, 1)
        assert model("rollback", "churn-1")[0] == 0
        publish(3, 2)
        late = Broadcast(
            clients.confluent(settings.broker),
            topics.NEIGHBOURS.full_name(settings),
            topics.MODELS.full_name(settings),
            CooccurrenceSettings(),
            horizon_ms=28 * DAY,
        )
        late.start()
        await eventually(lambda: late.ready)
        late.stop()
        assert (late.scorer.version, late.newest.model_version) == (1, "churn-3")

    def test_what_cannot_be_scored_with_is_refused(self, publish, model):
        publish(1, ready=False), publish(2, 1)
        assert "too few labels" in model("rollback", "churn-1")[2]
        assert "no version 'churn-9'" in model("rollback", "churn-9")[2]
        assert json.loads(model("list", "--json")[1])[0]["used"]

    async def test_a_pin_that_cannot_be_read_changes_nothing(self, broadcast):
        newest = encode.encode_snapshot(model_snapshot(scorer(1), 0))
        refused = broadcast.take_models(
            [newest, (b"churn/pin", b"{}"), (b"churn/else", b"{}"), (b"other/pin", newest[1])]
        )
        assert broadcast.scorer.version == 1
        assert [row.place for row in refused] == [1]


@pytest.mark.slow
def test_a_running_worker_scores_with_what_it_is_told_to(settings, publish, model, tmp_path, capsys):
    Shop(settings).send_events(50)
    publish(1), publish(2, 1)
    started = workers(settings, tmp_path)
    worker = next(started)()
    wait_until(lambda: (worker.ask("/v1/model") or {}).get("model_version") == "churn-2", "the newest model")
    assert model("rollback", "churn-1")[0] == 0
    wait_until(lambda: worker.ask("/v1/model")["model_version"] == "churn-1", "the pinned model")
    assert worker.ask("/v1/model")["newest_version"] == "churn-2"
    assert "scoring with churn-1 until it is released" in worker.said
    wait_until(lambda: bool(worker.ask("/v1/status")["workers"]), "its announcement")
    wait_until(lambda: worker.ask("/v1/status")["ready"], "readiness")
    reach = ["--bootstrap-servers", settings.broker.bootstrap_servers, "--group", settings.engine.group]
    capsys.readouterr()
    assert run(["doctor", *reach, "--topic-prefix", settings.broker.topic_prefix, "--json"]) == 0
    found = {one["check"]: one for one in json.loads(capsys.readouterr().out)}
    assert (found["model"]["verdict"], found["workers"]["verdict"]) == ("WARN", "PASS")
    assert found["model"]["found"] == "churn-1 is pinned; the newest is churn-2"
    next(started, None)


async def test_the_ranker_is_listed_and_rolled_back_like_the_churn_model(settings, model, broadcast):
    store = RankTrainerStore(RankTrainerSettings(min_sets=1, publish_every=1))
    examples = RankExamples(
        *(np.array([0, 2, 4]), np.array([0, 1]), np.array([1, 2])),
        np.ones((4, len(RANK_FEATURES)), np.float32),
        np.zeros(2, np.int64),
    )
    producer = Producer(clients.confluent(settings.broker))
    for published in store.apply(examples):
        key, value = encode.encode_snapshot(ranker_snapshot(published))
        for one in (key, day_key("ranker", published.version * DAY)):
            producer.produce(topics.MODELS.full_name(settings), value, one, 0)
    assert producer.flush(20) == 0
    await eventually(lambda: broadcast.ranker_version == "ranker-2")
    rows = json.loads(model("list", "--model", "ranker", "--json")[1])
    assert [row["model_version"] for row in rows] == ["ranker-2", "ranker-1"]
    assert "two_steps" in model("show", "ranker-1", "--model", "ranker")[1]
    assert model("rollback", "ranker-1", "--model", "ranker")[0] == 0
    await eventually(lambda: broadcast.ranker_version == "ranker-1")
    assert "ranker-1 is released" in model("resume", "--model", "ranker")[1]
    await eventually(lambda: broadcast.ranker_version == "ranker-2")
