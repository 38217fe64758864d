"""An erasure from end to end: a user with everything there is, the command, the topics read without it."""

import json
import time

import pytest
from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as Partition
from kafka import KafkaConsumer, TopicPartition

from streams import topics
from streams.cli import run
from streams.settings import load
from tests.integration.shop import Shop, WorkerProcess, wait_until, workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HORIZON = {
    "KEEPSTREAM_HORIZON": "12h",
    "KEEPSTREAM_CHECK_INTERVAL": "1h",
    "KEEPSTREAM_LANDMARK_INTERVAL": "1h",
    "KEEPSTREAM_HAZARD_STEP": "6h",
    "KEEPSTREAM_ALLOWED_LATENESS": "1h",
}
QUICK = {
    "segment.ms": "1000",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "1000",
    "delete.retention.ms": "0",
}
"""Lets Kafka compact within seconds what it would compact within days."""

ANN, BOB, COOKIE = "ann/1 ü", "bob", "cookie-7"


@pytest.fixture
def start(settings, tmp_path):
    yield from workers(settings, tmp_path)


@pytest.fixture
def shop(settings):
    topics.ensure(settings)
    consumer = Consumer({"bootstrap.servers": settings.broker.bootstrap_servers, "group.id": "check"})
    partitions = [
        Partition(name, number)
        for name, found in topics.list_existing(settings).items()
        for number in range(found.partitions)
    ]

    def led() -> bool:
        try:
            return all(consumer.get_watermark_offsets(one, 5) for one in partitions)
        except KafkaException:
            return False

    wait_until(led, "leaders of the new topics")
    consumer.close()
    return Shop(settings)


@pytest.fixture
def erase(settings, capsys):
    """Return a function that runs the command and returns exit code, findings by what, and what it said."""

    def call(user, *options):
        broker = settings.broker
        where = ["--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", broker.topic_prefix]
        code = run(["erase", user, "--json", *options, *where])
        said = capsys.readouterr()
        answer = json.loads(said.out) if said.out else {}
        return code, {one["what"]: one for one in answer.get("findings", [])}, said.err

    return call


def send(shop, name, at_ms, user, *, event_id=None, anonymous=False, **fields):
    shop.number += 1
    event = {"event_id": event_id or f"x{shop.number}", "event_name": name, "event_time": at_ms} | fields
    event["anonymous_id" if anonymous else "user_id"] = user
    shop._send(user.encode(), json.dumps(event).encode())


def days_ago(days: int) -> int:
    return int(time.time() * 1000) - days * DAY_MS


def send_lives(shop, now):
    """Let three subjects live through 30 hours: profiles, landmarks, scores, lists, dead letters."""
    for hour in range(30):
        for user, anonymous in ((ANN, False), (BOB, False), (COOKIE, True)):
            for item in ("sku-1", "sku-2"):
                at_ms = now + hour * HOUR_MS + 1_000
                send(shop, "view_item", at_ms, user, anonymous=anonymous, items=[{"item_id": item}])
    for user in (ANN, BOB, COOKIE):
        shop.send_bad("not_json", b'{"cut": "off', key=user.encode())
        shop.send_bad("missing_field", b"{}", key=user.encode())
    shop.send_bad("missing_field", json.dumps({"user_id": ANN}).encode(), key=None)
    shop.flush()


def newest(settings, topic) -> dict[bytes, bytes | None]:
    """Return the newest value under every key, read by a client that shares no code with the command."""
    name = topic.full_name(settings)
    consumer = KafkaConsumer(
        bootstrap_servers=settings.broker.bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    found: dict[bytes, bytes | None] = {}

    def read_to_the_end() -> bool:
        for records in consumer.poll(200).values():
            found.update({record.key: record.value for record in records})
        return all(consumer.position(tp) >= ends[tp] for tp in partitions)

    wait_until(read_to_the_end, f"the end of {name}")
    consumer.close()
    return found


def holds(value: bytes | None) -> bool:
    return bool(value)


def lived(shop, worker: WorkerProcess) -> int:
    """Send everything, wait until it is applied, and return the log's time."""
    began_ms = days_ago(20)
    send_lives(shop, began_ms)
    worker.wait_until_read()
    rejected = sum(shop.rejected.values())
    wait_until(lambda: len(shop.read(topics.DEAD_LETTERS)) >= rejected, "dead letters")
    return began_ms + 30 * HOUR_MS


def test_a_user_is_gone_from_every_topic_and_nobody_else_is(shop, start, erase, settings):
    worker = start(**HORIZON)
    lived(shop, worker)
    rows = newest(settings, topics.USERS_CHANGELOG)
    of_ann = {f"u:{ANN}".encode(), f"\0landmarks:u:{ANN}".encode()}
    of_bob = {f"u:{BOB}".encode(), f"\0landmarks:u:{BOB}".encode()}
    assert all(holds(rows.get(key)) for key in of_ann | of_bob), "both have profiles and pending labels"
    assert holds(newest(settings, topics.SCORES)[f"u:{ANN}".encode()])

    code, found, said = erase(ANN, "--verify", "--timeout", "90s")
    assert code == 0, said
    for what in ("profile, alerts", "pending labels", "last score", "dead letters under the id"):
        assert found[what]["state"] == "deleted", what
    assert found["1 dead letters under other keys"]["state"] == "leaves"
    for what in ("events", "lists", "alerts", "training examples"):
        assert found[what]["state"] == "leaves"
        assert found[what]["by"] > time.time() * 1000

    rows, scores = newest(settings, topics.USERS_CHANGELOG), newest(settings, topics.SCORES)
    letters = newest(settings, topics.DEAD_LETTERS)
    assert [rows[key] for key in of_ann] == [None, None]
    assert scores[f"u:{ANN}".encode()] is None
    assert letters[ANN.encode()] is None
    assert all(holds(rows[key]) for key in of_bob)
    assert holds(scores[f"u:{BOB}".encode()])
    assert holds(letters[BOB.encode()])
    assert holds(letters[b""]), "the letter without a key is under the empty one"
    assert worker.user(ANN) is None
    assert worker.user(BOB) is not None


def test_an_anonymous_visitor_and_a_restored_worker(shop, start, erase, settings):
    worker = start(**HORIZON)
    lived(shop, worker)
    code, found, said = erase(COOKIE, "--anonymous", "--verify", "--timeout", "90s")
    assert code == 0, said
    assert found["profile, alerts"]["state"] == "deleted"
    assert newest(settings, topics.USERS_CHANGELOG)[f"a:{COOKIE}".encode()] is None
    worker.kill()
    restored = start(**HORIZON)
    restored.wait_until_read()
    wait_until(lambda: restored.ask("/v1/status")["ready"], "readiness")
    assert restored.user(BOB)["event_counts"] == {"view_item": 60}
    assert restored.user(f"a:{COOKIE}") is None


def test_what_comes_after_the_erasure_is_a_new_profile_and_the_clock_has_not_moved(shop, start, erase):
    worker = start(**HORIZON)
    now_ms = lived(shop, worker)
    assert erase(ANN, "--verify", "--timeout", "90s")[0] == 0
    send(shop, "login", now_ms, ANN)
    shop.flush()
    worker.wait_until_read()
    assert worker.user(ANN)["event_counts"] == {"login": 1}, "an event of the log's own time is not too late"
    code, found, _ = erase("never seen", "--verify", "--timeout", "90s")
    assert code == 0
    assert found["profile, alerts"]["state"] == "gone"


def test_without_a_worker_it_ends_in_time_and_says_where_things_stand(shop, erase):
    code, found, said = erase(ANN, "--verify", "--timeout", "3s")
    assert (code, found) == (1, {})
    assert "waiting for a worker" in said
    assert "not applied in time" in said
    assert "has no state yet" in said


def test_without_verify_it_only_asks(shop, erase, settings):
    code, found, _ = erase(ANN)
    assert (code, found) == (0, {})
    [message] = shop.read(topics.EVENTS)
    assert message.key() == ANN.encode()
    assert json.loads(message.value())["user_id"] == ANN


def test_a_broker_without_our_topics_is_not_written_to(settings, erase):
    code, _, said = erase(ANN)
    assert code == 1
    assert "is this the right topic_prefix?" in said


@pytest.mark.kafka
class TestCompaction:
    """Apache Kafka compacts: what was deleted leaves the log itself, and nothing else does."""

    @pytest.fixture
    def settings(self, kafka_broker, topic_prefix, tmp_path):
        return load(
            environ={},
            bootstrap_servers=kafka_broker.bootstrap_servers,
            topic_prefix=topic_prefix,
            group=f"{topic_prefix}keepstream",
            data_dir=tmp_path / "data",
            events_partitions=1,
        )

    def alter(self, settings, names, configs):
        from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

        admin = AdminClient({"bootstrap.servers": settings.broker.bootstrap_servers})
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in configs.items()
        ]
        resources = [
            ConfigResource("topic", topic.full_name(settings), incremental_configs=entries) for topic in names
        ]
        for future in admin.incremental_alter_configs(resources).values():
            future.result(30)

    def test_the_id_leaves_changelog_scores_and_dead_letters(self, shop, start, erase, settings):
        one = {**HORIZON, "KEEPSTREAM_EVENTS_PARTITIONS": "1"}
        worker = start(**one)
        now_ms = lived(shop, worker)
        assert erase(ANN, "--verify", "--timeout", "90s")[0] == 0
        places = (topics.USERS_CHANGELOG, topics.SCORES, topics.DEAD_LETTERS)
        self.alter(settings, places, QUICK)
        hours = iter(range(1, 400))

        def nothing_is_left() -> bool:
            # Only closed segments are compacted, and one closes when something new comes.
            send(shop, "login", now_ms + next(hours) * HOUR_MS, BOB)
            shop.send_bad("missing_field", b"{}", key=BOB.encode())
            shop.flush()
            return not any(
                ANN.encode() in (message.key() or b"") for topic in places for message in shop.read(topic)
            )

        wait_until(nothing_is_left, "compaction", 300)
        assert holds(newest(settings, topics.DEAD_LETTERS)[COOKIE.encode()])
        # No worker starts where a restore could miss a deletion.
        self.alter(settings, places, {"delete.retention.ms": str(DAY_MS)})
        worker.kill()
        restored = start(**one)
        restored.wait_until_read()
        assert restored.user(ANN) is None
        assert restored.user(BOB)["event_counts"]["view_item"] == 60
