"""What the embedded broker keeps, and what `keepstream broker` does."""

import re
import signal
import subprocess
import sys

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams import clients, topics
from streams.broker import EmbeddedBroker
from streams.settings import load
from streams.settings.sections import Broker


def send(bootstrap_servers, topic, values):
    producer = Producer(clients.confluent(Broker(bootstrap_servers=bootstrap_servers)))
    for value in values:
        producer.produce(topic, value, key=b"k", partition=0)
    assert producer.flush(30) == 0


def read(bootstrap_servers, topic, count):
    config = clients.confluent(Broker(bootstrap_servers=bootstrap_servers), **{"group.id": "reader"})
    consumer = Consumer(config)
    consumer.assign([TopicPartition(topic, 0, 0)])
    records = consumer.consume(count, timeout=30)
    consumer.close()
    return [record.value() for record in records]


def test_a_clean_stop_and_start_keeps_every_acknowledged_record(tmp_path):
    values = [b"%d" % number for number in range(2_000)]
    with EmbeddedBroker(tmp_path) as broker:
        topics.ensure(load(environ={}, bootstrap_servers=broker.bootstrap_servers))
        send(broker.bootstrap_servers, topics.EVENTS.name, values)
    with EmbeddedBroker(tmp_path) as broker:
        assert read(broker.bootstrap_servers, topics.EVENTS.name, len(values)) == values


@pytest.mark.kafka
def test_apache_kafka_comes_back_on_the_same_port_with_its_records_after_a_kill(own_kafka_broker):
    address = own_kafka_broker.bootstrap_servers
    topics.ensure(load(environ={}, bootstrap_servers=address))
    values = [b"%d" % number for number in range(2_000)]
    # The log of a topic that is younger than this when its broker is killed may be set aside as a stray one.
    send(address, topics.EVENTS.name, values)
    assert read(address, topics.EVENTS.name, len(values)) == values
    own_kafka_broker.stop()
    own_kafka_broker.start()
    own_kafka_broker.kill()
    assert own_kafka_broker.pid == 0
    own_kafka_broker.start()
    assert own_kafka_broker.bootstrap_servers == address
    assert read(address, topics.EVENTS.name, len(values)) == values


@pytest.mark.parametrize(("blow", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_the_command_serves_until_it_is_interrupted_and_leaves_nothing_behind(tmp_path, blow, code):
    command = [sys.executable, "-m", "streams.cli", "broker", "--port", "0", "--data-dir", tmp_path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())[0]
    assert topics.ensure(load(environ={}, bootstrap_servers=address))
    process.send_signal(blow)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert errors == ""
    with EmbeddedBroker(tmp_path / "broker") as broker:
        assert topics.ensure(load(environ={}, bootstrap_servers=broker.bootstrap_servers)) == []
