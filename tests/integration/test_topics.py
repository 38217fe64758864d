"""Topics on real brokers: what is created is what the table says, and differences are found."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from kafka import KafkaAdminClient

from streams import clients, compacted, topics
from streams.cli import run
from streams.errors import BrokerUnavailableError, TopicsError
from streams.settings import load


@pytest.fixture
def admin(settings):
    client = KafkaAdminClient(**clients.kafka_python(settings.broker))
    yield client
    client.close()


def test_every_topic_is_created_once_and_then_fits(settings):
    assert topics.ensure(settings) == [topic.full_name(settings) for topic in topics.TOPICS]
    assert topics.check(settings) == []
    assert topics.ensure(settings) == []


def test_workers_that_start_together_create_every_topic_once(settings):
    with ThreadPoolExecutor(4) as pool:
        created = [name for names in pool.map(lambda _: topics.ensure(settings), range(4)) for name in names]
    assert sorted(created) == sorted(topic.full_name(settings) for topic in topics.TOPICS)


def test_an_event_topic_that_was_there_first_decides_the_number_of_partitions(settings, admin):
    admin.create_topics({topics.EVENTS.full_name(settings): {"num_partitions": 6, "replication_factor": 1}})
    admin.wait_for_topics([topics.EVENTS.full_name(settings)])
    topics.ensure(settings)
    existing = topics.list_existing(settings)
    assert existing[topics.USERS_CHANGELOG.full_name(settings)].partitions == 6
    assert existing[topics.TRAINER_CHANGELOG.full_name(settings)].partitions == 1


def test_a_changelog_that_cannot_hold_the_state_stops_with_the_reason(settings, admin):
    name = topics.USERS_CHANGELOG.full_name(settings)
    admin.create_topics({name: {"num_partitions": 2, "replication_factor": 1}})
    admin.wait_for_topics([name])
    with pytest.raises(TopicsError) as raised:
        topics.ensure(settings)
    assert f"{name} has 2 partitions and must have 4, like" in str(raised.value)
    assert f"{name} has cleanup.policy = delete instead of compact; records would be lost" in str(
        raised.value
    )


def test_what_the_broker_refuses_is_said_in_its_words(settings, topic_prefix):
    refused = load(
        environ={},
        bootstrap_servers=settings.broker.bootstrap_servers,
        topic_prefix=topic_prefix,
        replication_factor=3,
    )
    with pytest.raises(TopicsError, match="replication factor"):
        topics.ensure(refused)


def test_records_of_a_model_s_size_fit_into_internal_topics(settings):
    from confluent_kafka import Producer

    topics.ensure(settings)
    errors = []
    limit = {"message.max.bytes": topics.MAX_INTERNAL_BYTES}
    producer = Producer(clients.confluent(settings.broker, **limit))
    producer.produce(
        topics.MODELS.full_name(settings),
        b"x" * 6 * 2**20,
        key=b"churn",
        on_delivery=lambda error, _: errors.append(error),
    )
    assert producer.flush(30) == 0
    assert errors == [None]


def test_the_command_creates_lists_and_checks(settings, capsys):
    options = ["--bootstrap-servers", settings.broker.bootstrap_servers]
    options += ["--topic-prefix", settings.broker.topic_prefix]
    assert run(["topics", "check", *options]) == 1
    assert "clickstream.events.v1 is missing" in capsys.readouterr().out
    assert run(["topics", "create", *options]) == 0
    assert f"{len(topics.TOPICS)} topics created, 0 were there" in capsys.readouterr().out
    assert run(["topics", "check", *options]) == 0
    assert f"{len(topics.TOPICS)} topics checked, 0 to mend, 0 notes" in capsys.readouterr().out
    assert run(["topics", "list", *options]) == 0
    shown = capsys.readouterr().out
    assert all(topic.full_name(settings) in shown for topic in topics.TOPICS)


def test_catalogue_and_rules_are_written_listed_and_removed(settings, tmp_path, capsys):
    options = ["--bootstrap-servers", settings.broker.bootstrap_servers]
    options += ["--topic-prefix", settings.broker.topic_prefix]
    file, bad = tmp_path / "items.csv", tmp_path / "bad.jsonl"
    assert run(["rules", "list", *options]) == 1
    assert "has no topic" in capsys.readouterr().err
    topics.ensure(settings)
    file.write_text("id,price,availability\na,1,in stock\nb,2,out of stock\nc,cheap,in stock\n")
    assert run(["catalog", "load", str(file), *options]) == 1
    assert run(["catalog", "list", *options]) == 0
    assert "line 4: price must be a number" in capsys.readouterr().out
    assert run(["catalog", "load", str(file), "--skip-bad", "--rejects", str(bad), *options]) == 0
    assert json.loads(bad.read_text())["line"] == 4
    file.write_text("id\nb\nd\n")
    assert run(["catalog", "load", str(file), "--replace", *options]) == 0
    capsys.readouterr()
    assert run(["catalog", "list", "--json", *options]) == 0
    items = [json.loads(line)["item_id"] for line in capsys.readouterr().out.splitlines()]
    assert items == ["b", "d"]
    assert run(["catalog", "remove", "d", *options]) == 0
    assert run(["rules", "add", "r", "boost", "--brand", "Acme", "--factor", "2", *options]) == 0
    capsys.readouterr()
    assert run(["rules", "list", *options]) == 0
    assert capsys.readouterr().out == "r                     boost brand Acme by 2\n"
    compacted.write(settings, topics.CATALOGUE.full_name(settings), [(b"x", b"{")])
    assert run(["catalog", "list", *options]) == 1
    assert "refused: x: no CatalogItem" in capsys.readouterr().err
    assert run(["rules", "remove", "r", *options]) == 0
    assert run(["rules", "remove", "r", *options]) == 1
    assert "has no rule 'r'" in capsys.readouterr().err


def test_without_a_broker_nothing_hangs():
    with pytest.raises(BrokerUnavailableError, match="127"):
        topics.check(load(environ={}, bootstrap_servers="127.0.0.1:1", broker_wait="1s"))


def test_whether_a_broker_compacts_is_known(settings, request):
    assert topics.compacts(settings) is ("kafka" in request.node.name)
