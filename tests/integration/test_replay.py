"""Replay and simulation on real brokers: everything arrives, in order, in the partition of its user."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams import clients, topics
from streams.broker import EmbeddedBroker, free_port
from streams.cli import run
from streams.settings import load
from streams.sources.record import record_of
from streams.sources.simulator import ShopConfig, simulate
from streams.sources.writer import write_lines

STARTING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


@pytest.fixture
def options(settings, topic_prefix):
    return ["--bootstrap-servers", settings.broker.bootstrap_servers, "--topic-prefix", topic_prefix]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    write_lines(path, (record_of(event).value for event in simulate(ShopConfig(users=200, days=3))))
    return path


def everything(settings):
    """Return the records of the event topic by partition, in their order."""
    topic = topics.EVENTS.full_name(settings)
    config = {"group.id": "reader", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer(clients.confluent(settings.broker, **config))
    found = {}
    for number in range(len(consumer.list_topics(topic).topics[topic].partitions)):
        partition = TopicPartition(topic, number, 0)
        consumer.assign([partition])
        end = _end(consumer, partition)
        found[number] = []
        while len(found[number]) < end:
            found[number] += [message for message in consumer.consume(1000, 1.0) if message.error() is None]
    consumer.close()
    return found


def _end(consumer, partition):
    """Return the end of a partition; a new one may have a leader that does not know it yet."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=5)[1]
        except KafkaException as error:
            if error.args[0].code() not in STARTING or time.monotonic() > deadline:
                raise


def test_every_event_arrives_once_under_its_users_key_in_order(settings, options, log, capsys):
    assert run(["replay", str(log), *options, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    lines = log.read_bytes().splitlines()
    partitions = everything(settings)
    arrived = [message.value() for messages in partitions.values() for message in messages]
    assert Counter(arrived) == Counter(lines)
    assert summary["events"] == len(lines)
    users: dict[bytes, int] = {}
    for number, messages in partitions.items():
        times = []
        for message in messages:
            event = json.loads(message.value())
            assert message.key().decode() == event.get("user_id", event.get("anonymous_id"))
            assert users.setdefault(message.key(), number) == number
            times.append(event["event_time"])
        assert times == sorted(times)


def test_users_lie_where_java_clients_put_them(settings, options, log):
    from kafka.partitioner.default import murmur2

    assert run(["replay", str(log), *options, "--limit", "500"]) == 0
    partitions = everything(settings)
    for number, messages in partitions.items():
        for message in messages:
            assert (murmur2(message.key()) & 0x7FFFFFFF) % len(partitions) == number


def test_a_part_is_sent_with_skip_and_limit(settings, options, log):
    assert run(["replay", str(log), *options, "--skip", "10", "--limit", "20"]) == 0
    arrived = [message.value() for messages in everything(settings).values() for message in messages]
    assert sorted(arrived) == sorted(log.read_bytes().splitlines()[10:30])


def test_broken_lines_arrive_as_they_are(settings, options, tmp_path):
    lines = [b'{"event_id":"1","event_name":"login","event_time":1700000000000,"user_id":"u"}', b'{"cut": ']
    write_lines(tmp_path / "log", lines)
    assert run(["replay", str(tmp_path / "log"), *options]) == 0
    arrived = [message.value() for messages in everything(settings).values() for message in messages]
    assert sorted(arrived) == sorted(lines)


def test_a_log_out_of_order_is_refused_before_anything_is_sent(settings, options, tmp_path, capsys):
    (tmp_path / "log").write_text("SessionId\tItemId\tTime\n1\t7\t1396440000\n2\t8\t1396400000\n")
    assert run(["replay", str(tmp_path / "log"), *options]) == 1
    assert "use --sort" in capsys.readouterr().err
    assert not any(everything(settings).values())
    assert run(["replay", str(tmp_path / "log"), *options, "--sort"]) == 0
    assert sum(map(len, everything(settings).values())) == 2


def test_an_interrupted_replay_goes_on_where_its_last_words_say(settings, options, log, capfd):
    topics.ensure(settings)
    command = [sys.executable, "-c", "from streams.cli import main; main()", "replay", str(log)]
    with subprocess.Popen(
        [*command, *options, "--speed", "3600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not any(everything(settings).values()):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    skip = said.decode().split("--skip ")[1].split()[0]
    assert run(["replay", str(log), *options, "--skip", skip]) == 0
    arrived = [message.value() for messages in everything(settings).values() for message in messages]
    assert Counter(arrived) == Counter(log.read_bytes().splitlines())


def test_a_replay_survives_a_restart_of_the_broker_or_says_where_to_go_on(tmp_path, log, topic_prefix):
    with EmbeddedBroker(tmp_path / "broker", free_port()) as broker:
        own = load(environ={}, bootstrap_servers=broker.bootstrap_servers, topic_prefix=topic_prefix)
        topics.ensure(own)
        options = ["--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", topic_prefix]
        command = [sys.executable, "-c", "from streams.cli import main; main()", "replay", str(log), *options]
        with subprocess.Popen([*command, "--speed", "30000"], stderr=subprocess.PIPE) as process:
            while not any(everything(own).values()):
                assert process.poll() is None
            broker.stop()
            broker.start()
            _, said = process.communicate(timeout=200)
        if process.returncode:
            assert b"keepstream: error: " in said
            assert b"Traceback" not in said
            assert run([*command[3:], "--skip", said.decode().split("--skip ")[1].split()[0]]) == 0
        arrived = {message.value() for messages in everything(own).values() for message in messages}
        assert arrived == set(log.read_bytes().splitlines())


def test_a_simulated_shop_is_sent_whole(settings, options, capsys):
    shop = ["simulate", "--users", "100", "--events", "900", "--malformed", "0.1", "--json"]
    assert run([*shop, *options]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["unconfirmed"] == 0
    assert sum(map(len, everything(settings).values())) == summary["events"]
    assert summary["events"] == pytest.approx(1000, abs=1)
