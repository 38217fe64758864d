"""The whole worker on real brokers: events in; counts, lists, dead letters out; through stops and kills."""

import collections
import json

import pytest
from kafka import KafkaConsumer, TopicPartition

from streams import compacted, topics
from streams.encode import read_dead_letter
from tests.integration.shop import START_MS, Shop, wait_until, workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def start(settings, tmp_path):
    yield from workers(settings, tmp_path)


@pytest.fixture
def shop(settings):
    topics.ensure(settings)
    return Shop(settings)


def event(**fields) -> bytes:
    known = {"event_id": "x", "event_name": "view_item", "event_time": START_MS, "user_id": "u"}
    return json.dumps(known | fields).encode()


MALFORMED = [
    ("not_json", b'{"event_id": '),
    ("not_json", b"\xff\xfe\x00"),
    ("not_an_object", b"[1, 2]"),
    ("empty_value", None),
    ("empty_value", b""),
    ("too_deep", b'{"properties": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}"),
    ("too_large", event(text="x" * 300_000)),
    ("wrong_type", event(user_id=7)),
    ("out_of_range", event(user_id="u" * 1_000)),
    ("out_of_range", event(value=-3)),
    ("bad_time", event(event_time="9999-01-01T00:00:00Z")),
    ("bad_time", event(event_time="yesterday")),
    ("no_subject", json.dumps({"event_id": "x", "event_name": "login", "event_time": START_MS}).encode()),
    ("missing_field", b"{}"),
    ("not_json", event(value=float("nan"))),
    ("from_the_future", event(event_time="2098-01-01T00:00:00Z")),
]


def by_kafka_python(topic, settings) -> collections.Counter[str]:
    """Return the ids of a topic's documents as a consumer sees them that shares no code with ours."""
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
    ids: collections.Counter[str] = collections.Counter()

    def read_to_the_end() -> bool:
        for records in consumer.poll(200).values():
            ids.update(json.loads(record.value)["id"] for record in records)
        return all(consumer.position(tp) >= ends[tp] for tp in partitions)

    wait_until(read_to_the_end, f"the end of {name}")
    consumer.close()
    return ids


def sum_of_touches(worker, shop) -> int:
    return sum((worker.item(item) or {"touches": 0})["touches"] for item in shop.touches)


def test_counts_are_exact_through_sigterm_and_kill_9(shop, start):
    """What anybody can check from outside: nothing was lost, nothing was counted twice."""
    worker = start()
    for ending in ("terminate", "kill", "terminate"):
        shop.send_events(2_000)
        wait_until(lambda one=worker: one.judged() > 500, "events judged")
        if ending == "kill":
            worker.kill()
        else:
            assert worker.terminate() == 0, worker.said
        worker = start()
    shop.send_events(500)
    worker.wait_until_read()
    touches = sum(shop.touches.values())
    wait_until(lambda: sum_of_touches(worker, shop) >= touches, "every touch counted")
    # A list needs neighbours, which may come after every event so far was applied.
    wait_until(lambda: worker.metrics()["keepstream_broadcast_items"] > 0, "neighbours of items")
    shop.send_events(100)
    worker.wait_until_read()
    touches = sum(shop.touches.values())
    wait_until(lambda: sum_of_touches(worker, shop) >= touches, "every touch counted")

    for user, counts in shop.event_counts.items():
        found = worker.user(user)
        assert found is not None, user
        assert found["event_counts"] == dict(counts), user
    for item, touches in shop.touches.items():
        found = worker.item(item)
        assert found is not None, item
        assert found["touches"] == touches, item
    assert worker.user("nobody") is None

    lists = shop.read(topics.RECOMMENDATIONS)
    ids = collections.Counter(json.loads(message.value())["id"] for message in lists)
    assert ids
    assert max(ids.values()) == 1, "an output id was committed twice"
    assert by_kafka_python(topics.RECOMMENDATIONS, shop.settings) == ids, (
        "another client reads something else"
    )
    best = json.loads(lists[-1].value())
    assert best["items"][0]["reason"]
    assert worker.terminate() == 0


def test_malformed_events_are_dead_letters_and_the_worker_is_unmoved(shop, start):
    for reason, value in MALFORMED:
        shop.send_bad(reason, value)
    shop.send_bad("not_json", b"{", key=None)
    shop.flush()
    shop.send_events(300)
    sold = sorted(shop.touches)[1:]
    tell_of_items(shop, sold)
    worker = start()
    total = shop.accepted + shop.duplicates + sum(shop.rejected.values())
    wait_until(lambda: worker.judged() == total, "every event judged")
    found = worker.metrics()
    assert found["keepstream_events_accepted_total"] == shop.accepted
    assert found["keepstream_events_duplicate_total"] == shop.duplicates
    by_reason = {
        reason: found.get(f'keepstream_events_rejected_total{{reason="{reason}"}}', 0)
        for reason in shop.rejected
    }
    assert by_reason == dict(shop.rejected)

    wait_until(lambda: len(shop.read(topics.DEAD_LETTERS)) >= sum(shop.rejected.values()), "dead letters")
    letters = shop.read(topics.DEAD_LETTERS)
    said = [read_dead_letter(message.headers()) for message in letters]
    assert collections.Counter(letter.reason for letter in said) == shop.rejected
    assert all(letter.topic == topics.EVENTS.full_name(shop.settings) for letter in said)
    # A broker need not tell an empty value from none.
    sent = sorted((key or b"", value or b"") for key, value in shop.bad_values)
    assert sorted((message.key() or b"", message.value() or b"") for message in letters) == sent
    assert worker.process.poll() is None
    assert worker.ask("/health/live") == {"alive": True}
    assert (found["keepstream_catalog_items"], found["keepstream_list_rules"]) == (len(sold), 1)
    refused = topics.CATALOGUE.full_name(shop.settings)
    assert found[f'keepstream_broadcast_refused_total{{topic="{refused}"}}'] == 1

    def listed():
        user = next(iter(shop.event_counts))
        return [one["item_id"] for one in (worker.user(user) or {}).get("recommendations", ())]

    wait_until(lambda: len(listed()) > 1, "a list")
    assert listed()[0] == "hero"
    assert set(listed()) <= {*sold, "hero"}


def tell_of_items(shop, sold):
    """Write a catalogue with a row that is none, and pin an item of it, as the shop's systems would."""
    rows = {item: {"item_id": item} for item in sold[:-1]} | {"hero": {"item_id": "hero"}, sold[-1]: 1}
    catalogue = topics.CATALOGUE.full_name(shop.settings)
    compacted.write(shop.settings, catalogue, [(k.encode(), json.dumps(v).encode()) for k, v in rows.items()])
    rule = {"rule_id": "r", "action": "pin", "item_id": "hero", "position": 1}
    compacted.write(shop.settings, topics.RULES.full_name(shop.settings), [(b"r", json.dumps(rule).encode())])


def test_a_worker_waits_for_a_broker_that_comes_later_and_says_so(own_kafka_broker, tmp_path):
    from streams.settings import load

    settings = load(
        environ={},
        bootstrap_servers=own_kafka_broker.bootstrap_servers,
        group="late",
        data_dir=tmp_path / "data",
    )
    own_kafka_broker.stop()
    with_worker = workers(settings, tmp_path)
    worker = next(with_worker)()
    wait_until(lambda: "waiting" in worker.said.lower() or "wait" in worker.said, "word of the wait")
    own_kafka_broker.start()
    wait_until(lambda: bool(worker.url) and worker.metrics().get("keepstream_ready") == 1, "readiness")
    assert "Traceback" not in worker.said
    assert worker.terminate() == 0
    next(with_worker, None)


@pytest.mark.kafka
class TestSeveralWorkers:
    @pytest.fixture
    def settings(self, kafka_broker, topic_prefix, tmp_path):
        from streams.settings import load

        return load(
            environ={},
            bootstrap_servers=kafka_broker.bootstrap_servers,
            topic_prefix=topic_prefix,
            group=f"{topic_prefix}keepstream",
            data_dir=tmp_path / "data",
        )

    def test_any_worker_answers_for_any_user_and_counts_stay_exact_when_one_dies(self, shop, start):
        first, second = start("w1"), start("w2")
        shop.send_events(1_500)
        wait_until(lambda: first.judged() + second.judged() > 1_000, "both at work")
        second.kill()
        shop.send_events(1_500)
        first.wait_until_read()
        third = start("w3")
        wait_until(
            lambda: third.ask("/v1/status")["ready"] and third.ask("/v1/status")["partitions"], "a share"
        )
        for user, counts in list(shop.event_counts.items())[:40]:
            for worker in (first, third):
                found = worker.user(user)
                assert found is not None, user
                assert found["event_counts"] == dict(counts), user
        touches = sum(shop.touches.values())
        wait_until(lambda: sum_of_touches(third, shop) >= touches, "every touch counted")
        for item, touches in shop.touches.items():
            assert third.item(item)["touches"] == touches
        # A list needs neighbours, which may come after every event so far was applied.
        wait_until(
            lambda: min(w.metrics()["keepstream_broadcast_items"] for w in (first, third)) > 0,
            "neighbours of items",
        )
        shop.send_events(100)
        wait_until(lambda: shop.read(topics.RECOMMENDATIONS), "lists")
        ids = collections.Counter(json.loads(m.value())["id"] for m in shop.read(topics.RECOMMENDATIONS))
        assert max(ids.values()) == 1
