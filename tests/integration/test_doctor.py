"""`keepstream doctor` on real brokers: healthy ones pass, and what is broken on purpose is found."""

import json
import time

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from online_models.events import Reject
from streams import clients, topics
from streams.cli import run
from streams.encode import dead_letter
from streams.engine.handler import Record
from tests.integration.shop import Shop, wait_until, workers


@pytest.fixture
def shop(settings):
    topics.ensure(settings)
    return Shop(settings)


@pytest.fixture
def start(settings, tmp_path):
    yield from workers(settings, tmp_path)


@pytest.fixture
def produce(settings):
    """Write a record to a topic, whatever its key, where it is told to."""
    producer = Producer(clients.confluent(settings.broker))

    def produce(topic, partition, key, value, **more):
        producer.produce(topic.full_name(settings), value, key, partition, **more)
        assert producer.flush(20) == 0

    return produce


@pytest.fixture
def examine(settings, capsys):
    """Run the command and return its exit code and its findings by check."""

    def examine(*options):
        reach = ["--bootstrap-servers", settings.broker.bootstrap_servers, "--group", settings.engine.group]
        reach += ["--topic-prefix", settings.broker.topic_prefix]
        code = run(["doctor", "--json", *reach, *options])
        return code, {one["check"]: one for one in json.loads(capsys.readouterr().out)}

    return examine


@pytest.mark.slow
def test_a_shop_in_order_passes_every_check(shop, start, examine):
    shop.send_events(400)
    worker = start()
    worker.wait_until_read()
    wait_until(lambda: bool(worker.ask("/v1/status")["workers"]), "its announcement")
    wait_until(lambda: worker.metrics().get("keepstream_ready") == 1, "readiness")
    code, found = examine()
    assert {name: one["verdict"] for name, one in found.items() if one["verdict"] != "PASS"} == {}, found
    assert code == 0
    assert "1 ready (w1)" in found["workers"]["found"]
    assert "440 events" in found["producers"]["found"]
    assert "commit" in found["checkpoints"]["found"]


def test_a_broker_that_is_not_there_is_one_failure(capsys):
    code = run(["doctor", "--bootstrap-servers", "127.0.0.1:1", "--wait", "0s", "--json"])
    (found,) = json.loads(capsys.readouterr().out)
    assert (code, found["check"], found["verdict"]) == (1, "broker", "FAIL")


def test_missing_topics_end_the_examination(settings, examine):
    code, found = examine()
    assert code == 1
    assert found["topics"]["verdict"] == "FAIL"
    assert "lag" not in found


def test_a_topic_with_other_partitions_is_found(settings, examine):
    admin = AdminClient(clients.confluent(settings.broker))
    from confluent_kafka.admin import NewTopic

    name = topics.SCORES.full_name(settings)
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(20)
    with pytest.raises(Exception, match="has 2 partitions and must have 4"):
        topics.ensure(settings)
    found = examine()[1]
    assert found["co-partitioning"]["verdict"] == "FAIL"
    assert f"{name} has 2 instead of 4" in found["co-partitioning"]["found"]


def test_events_without_a_worker_wait_and_users_in_two_partitions_are_found(shop, produce, examine):
    for number in (0, 1):
        produce(topics.EVENTS, number, b"c-1", b'{"user_id": "c-1"}')
    code, found = examine()
    assert code == 1
    assert found["workers"]["verdict"] == "FAIL"
    assert "2 records wait" in found["lag"]["found"]
    assert found["producers"]["verdict"] == "FAIL"
    assert "1 of 1 users" in found["producers"]["found"]


def test_a_position_beyond_the_log_is_found(shop, produce, examine, settings):
    produce(topics.EVENTS, 0, b"c-1", b"{}")
    place = TopicPartition(topics.EVENTS.full_name(settings), 0, 9)
    admin = AdminClient(clients.confluent(settings.broker))
    asked = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(settings.engine.group, [place])])
    asked[settings.engine.group].result(20)
    found = examine()[1]["lag"]
    assert found["verdict"] == "FAIL"
    assert "stands at 9, the log holds 0 to 1" in found["found"]


def test_the_rejects_of_the_last_hour_are_counted_by_reason(shop, produce, examine):
    for number in range(120):
        produce(topics.EVENTS, 0, b"k", b"{")
        record = Record(number, 0, b"k", b"{")
        headers = dead_letter(record, Reject("not_json", "cut off"), "t", 0)
        produce(topics.DEAD_LETTERS, 0, b"k", b"{", headers=headers)
    found = examine()[1]["rejects"]
    assert found["verdict"] == "FAIL"
    assert "120 of 120 events of the last hour (100.0%): not_json 120" in found["found"]


def test_a_changelog_that_is_not_compacted_is_found(shop, produce, examine):
    long_ago = int(time.time() * 1000) - 7 * 3_600_000
    for number in range(20):
        produce(topics.USERS_CHANGELOG, 0, b"row", b"%d" % number, timestamp=long_ago)
    found = examine()[1]["growth"]
    assert found["verdict"] == "WARN"
    assert "95% of its oldest 20 are superseded" in found["found"]


def test_for_people_it_prints_a_verdict_a_line_and_what_to_do(settings, capsys):
    reach = ["--bootstrap-servers", settings.broker.bootstrap_servers]
    assert run(["doctor", *reach, "--topic-prefix", settings.broker.topic_prefix]) == 1
    shown = capsys.readouterr().out
    assert "PASS  broker" in shown
    assert "FAIL  topics" in shown
    assert "-> `keepstream topics create` makes what is missing" in shown
    assert "3 passed, 0 warnings, 1 failed" in shown
