"""State saved to a file and loaded elsewhere: the worker goes on exactly from there."""

import dataclasses
import json

import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient

from streams import clients, topics
from streams.cli import run
from tests.integration.shop import Shop, WorkerProcess, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BETWEEN = (topics.EVENTS, topics.ITEM_PAIRS, topics.EXAMPLES)


def state(settings, *words):
    options = ["--bootstrap-servers", settings.broker.bootstrap_servers]
    return run(["state", *map(str, words), *options, "--topic-prefix", settings.broker.topic_prefix])


def beside(settings, name):
    """Return the settings of another place on the same broker."""
    prefix = f"{settings.broker.topic_prefix}{name}."
    broker = dataclasses.replace(settings.broker, topic_prefix=prefix)
    return dataclasses.replace(
        settings, broker=broker, engine=dataclasses.replace(settings.engine, group=f"{prefix}keepstream")
    )


def send(settings, topic, *records):
    producer = Producer(clients.confluent(settings.broker, partitioner="murmur2_random"))
    for key, value in records:
        producer.produce(topic.full_name(settings), value, key)
    assert producer.flush(30) == 0


def run_to_the_end(worker, shop):
    """Wait until the worker has applied all there is, pairs and examples included."""
    worker.wait_until_read()
    touches = sum(shop.touches.values())
    wait_until(
        lambda: sum((worker.item(item) or {"touches": 0})["touches"] for item in shop.touches) >= touches,
        "every touch counted",
    )
    for topic in BETWEEN:
        worker.wait_until_read(topic)


def check(worker, shop):
    for user, counts in shop.event_counts.items():
        assert worker.user(user)["event_counts"] == dict(counts), user
    for item, touches in shop.touches.items():
        assert worker.item(item)["touches"] == touches, item


@pytest.fixture
def start(tmp_path):
    started = []

    def start_one(settings, name="w1"):
        started.append(WorkerProcess(settings, tmp_path, name))
        return started[-1]

    yield start_one
    for worker in started:
        worker.close()


@pytest.fixture
def saved(settings, start, tmp_path, capsys):
    """Return a shop whose events a worker has applied, the file of the state, and what the worker said."""
    topics.ensure(settings)
    shop, file = Shop(settings), tmp_path / "state"
    worker = start(settings)
    shop.send_events(700)
    shop.now_ms += 45 * 86_400_000  # long enough for labels, and so for a model
    shop.send_events(800)
    run_to_the_end(worker, shop)
    wait_until(lambda: worker.ask("/v1/model") is not None, "a model")
    card, someone = worker.ask("/v1/model"), worker.user("user 1")
    assert worker.terminate() == 0
    assert state(settings, "save", file) == 0
    assert "0 events not read yet" in capsys.readouterr().out
    return shop, file, (card, someone)


def test_in_another_place_a_worker_goes_on_as_if_nothing_had_happened(settings, saved, start, capsys):
    shop, file, (card, someone) = saved
    latest = sorted(shop.read(topics.EVENTS), key=lambda m: json.loads(m.value())["event_time"])[-100:]
    old = [(message.key(), message.value()) for message in latest]
    shop.settings = there = beside(settings, "there")
    assert state(there, "load", file, "--events", "new") == 0
    assert state(there, "load", file, "--events", "new") == 1
    assert "is not empty: delete it" in capsys.readouterr().err

    send(there, topics.EVENTS, *old)
    shop.send_events(500)
    worker = start(there, "there")
    worker.wait_until_read()
    found = worker.metrics()
    assert found["keepstream_events_duplicate_total"] == len(old) + 50, "ids seen before the copy are known"
    run_to_the_end(worker, shop)
    check(worker, shop)
    assert worker.ask("/v1/model") == card
    assert worker.user("user 1")["first_event"] == someone["first_event"]
    assert worker.terminate() == 0


def test_beside_the_same_events_it_reads_on_where_the_saved_one_stopped(settings, saved, start, capsys):
    shop, file, _ = saved
    worker = start(settings)
    shop.send_events(400)
    run_to_the_end(worker, shop)
    worker.kill()  # the state is lost, the events are not

    admin = KafkaAdminClient(**clients.kafka_python(settings.broker))
    admin.delete_topics([topic.full_name(settings) for topic in topics.TOPICS if topic is not topics.EVENTS])
    wait_until(lambda: len(topics.list_existing(settings)) == 1, "the topics to be gone")
    admin.close()
    shop.send_events(100)
    assert state(settings, "load", file) == 0
    assert "550 events of clickstream.events.v1 to read on from there" in capsys.readouterr().out
    worker = start(settings)
    run_to_the_end(worker, shop)
    check(worker, shop)
    assert worker.terminate() == 0


def test_what_is_not_whole_is_refused(settings, saved, start, capsys, tmp_path):
    _, file, _ = saved
    there = beside(settings, "there")
    cut = tmp_path / "cut"
    cut.write_bytes(file.read_bytes()[:-20])
    assert state(there, "load", cut) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert topics.list_existing(there) == {}, "nothing was written from it"

    assert state(there, "load", file, "--events", "kept") == 1
    assert "it is another event topic or has lost events" in capsys.readouterr().err

    send(settings, topics.EXAMPLES, (None, b"on its way"))
    assert state(settings, "save", tmp_path / "again") == 1
    assert "1 records of" in (said := capsys.readouterr().err)
    assert "are not applied yet" in said
    assert not list(tmp_path.glob("again*"))

    few = dataclasses.replace(
        beside(settings, "few"), topics=dataclasses.replace(settings.topics, events_partitions=2)
    )
    topics.ensure(few)
    assert state(few, "load", file) == 1
    assert "the state has 4 partitions, the topics have 2" in capsys.readouterr().err
