"""`keepstream tail` on a real broker: aliases, places to begin, filters, and every topic made readable."""

import json

import msgspec
import numpy as np
import pytest

from online_models.churn.features import FEATURE_NAMES
from online_models.churn.labels import ExampleBatch
from online_models.events import Reject
from streams import clients, encode, topics
from streams.cli import run
from streams.cli.interventions import read_uplift
from streams.cli.tail import full_name
from streams.cli.tail_lines import lines, printable
from streams.engine.handler import Record
from streams.errors import TopicsError
from streams.follow import Followed, Follower
from streams.schemas import (
    ChurnAlert,
    ChurnScore,
    InterventionOutcome,
    ItemNeighbours,
    ModelSnapshot,
    Origin,
    Partner,
    Recommendation,
    RecommendedItem,
    WorkerAnnouncement,
)
from streams.schemas.documents import SAMPLES
from streams.settings import Settings, load

ORIGIN = Origin("users", "churn", "clickstream.events.v1", 0, 7)
AT = 1_772_360_100_250
ALERT = ChurnAlert(
    "u:c-1@1",
    "u:c-1",
    "c-1",
    AT,
    "churn-3",
    ORIGIN,
    0.87,
    0.8,
    604_800_000,
    ["quiet 12.3 d"],
    "cart_reminder",
)
LIST = Recommendation(
    "0-7",
    "u:c-1",
    AT,
    "base-1",
    ORIGIN,
    [RecommendedItem(f"sku-{n}", 1.0, "people like it") for n in range(5)],
)


@pytest.fixture
def broker(embedded_broker):
    return embedded_broker


@pytest.fixture
def produce(settings):
    """Create the topics; return a function that writes records to one of them."""
    from confluent_kafka import Producer

    topics.ensure(settings)
    producer = Producer(clients.confluent(settings.broker))

    def produce(topic, *records, partition=0):
        for key, value in records:
            producer.produce(topic.full_name(settings), value, key, partition)
        producer.flush(10)

    return produce


@pytest.fixture
def tail(settings, capsys):
    """Run the command and return its exit code and lines."""

    def tail(*arguments):
        reach = [
            *("--bootstrap-servers", settings.broker.bootstrap_servers),
            *("--topic-prefix", settings.broker.topic_prefix),
        ]
        code = run(["tail", *arguments, *reach])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    return tail


def numbered(count, key=b"k"):
    return [(key, b'{"n":%d}' % n) for n in range(count)]


class TestNames:
    def test_aliases_names_and_full_names_mean_the_same(self):
        settings = load(environ={}, topic_prefix="shop.")
        for name in ("alerts", "churn.alerts.v1", "shop.churn.alerts.v1"):
            assert full_name(name, settings) == "shop.churn.alerts.v1"

    def test_a_topic_of_somebody_else_is_taken_as_it_is(self):
        assert full_name("orders.v7", Settings()) == "orders.v7"

    def test_a_wrong_alias_names_the_nearest(self):
        with pytest.raises(TopicsError, match="did you mean alerts"):
            full_name("alert", Settings())


class TestReading:
    def test_once_prints_what_is_there_and_ends(self, produce, tail):
        produce(topics.ALERTS, *numbered(3))
        produce(topics.ALERTS, *numbered(2), partition=1)
        code, out, _ = tail("alerts", "--once", "--json")
        assert code == 0
        assert len(out) == 5
        assert json.loads(out[0])["value"] == {"n": 0}

    def test_an_empty_topic_ends_at_once(self, produce, tail):
        assert tail("scores", "--once")[:2] == (0, [])

    def test_last_begins_before_the_end_of_each_partition(self, produce, tail):
        produce(topics.ALERTS, *numbered(9))
        values = [
            json.loads(line)["value"]["n"] for line in tail("alerts", "--last", "2", "--once", "--json")[1]
        ]
        assert values == [7, 8]

    def test_last_counts_records_and_not_the_markers_of_transactions(self, tail, settings):
        from confluent_kafka import Producer

        topics.ensure(settings)
        producer = Producer(
            clients.confluent(settings.broker, **{"transactional.id": settings.engine.group + "markers"})
        )
        producer.init_transactions(20)
        for value in (b"1", b"2", b"3"):
            producer.begin_transaction()
            producer.produce(topics.ALERTS.full_name(settings), value, b"k", 0)
            producer.commit_transaction(20)
        assert tail("alerts", "--last", "2", "--once", "--raw")[1] == ["2", "3"]

    def test_n_ends_after_so_many_records(self, produce, tail):
        produce(topics.ALERTS, *numbered(9))
        assert len(tail("alerts", "--from-beginning", "-n", "4", "--raw")[1]) == 4

    def test_key_keeps_one_key_and_finds_subjects_of_user_ids(self, produce, tail):
        produce(topics.ALERTS, (b"u:c-1", b"1"), (b"u:c-2", b"2"), (b"c-1", b"3"), (None, b"4"))
        assert tail("alerts", "--key", "c-1", "--once", "--raw")[1] == ["1", "3"]

    def test_the_report_on_interventions_reads_the_outcomes_of_the_topic(self, produce, settings):
        made = []
        for number in range(40):
            holdout = number % 4 == 0
            outcome = InterventionOutcome(AT, returned=number % (4 if holdout else 2) == 0, spend=2.0)
            action = "none" if holdout else "coupon"
            for known in (None, outcome):
                document = msgspec.structs.replace(
                    SAMPLES["intervention"],
                    action=action,
                    holdout=holdout,
                    propensity=1.0 if holdout else 0.5,
                    outcome=known,
                )
                made.append((b"u:c-4711", msgspec.json.encode(document)))
        produce(topics.INTERVENTIONS, *made)
        found = read_uplift(settings)
        assert {name: (one.cases, one.returns) for name, one in found.items()} == {
            "holdout": (10, 10),
            "coupon": (30, 10),
            "treated": (30, 10),
        }
        assert found["coupon"].uplift == pytest.approx(1 / 3 - 1)
        assert found["coupon"].cost == 5.0

    def test_raw_prints_bytes_untouched(self, produce, tail):
        produce(topics.DEAD_LETTERS, (b"", b"\x1b[31mred"))
        assert tail("dlq", "--once", "--raw")[1] == ["\x1b[31mred"]

    def test_aborted_records_are_not_shown(self, produce, tail, settings):
        from confluent_kafka import Producer

        topic = topics.ALERTS.full_name(settings)
        extra = {"transactional.id": settings.engine.group}
        producer = Producer(clients.confluent(settings.broker, **extra))
        producer.init_transactions(20)
        for value, end in ((b"1", producer.abort_transaction), (b"2", producer.commit_transaction)):
            producer.begin_transaction()
            producer.produce(topic, value, b"k", 0)
            producer.flush(10)
            end(20)
        assert tail("alerts", "--once", "--raw")[1] == ["2"]

    def test_a_missing_topic_is_an_error_in_words(self, tail):
        code, _, err = tail("nobodys.topic", "--once")
        assert code == 1
        assert "no topic nobodys.topic" in err

    @pytest.mark.parametrize("options", [("--raw", "--json"), ("--from-beginning", "--last", "3")])
    def test_options_that_exclude_each_other_are_refused(self, tail, options):
        assert tail("alerts", *options)[0] == 2


class TestFollower:
    def test_it_sees_what_comes_after_its_start_and_not_what_came_before(self, produce, settings):
        produce(topics.ALERTS, *numbered(3))
        with Follower(settings, [topics.ALERTS.full_name(settings)], "end") as follower:
            assert follower.caught_up
            produce(topics.ALERTS, (b"new", b"{}"))
            found = []
            while not found:
                found = follower.poll(0.2)
        assert [record.key for record in found] == [b"new"]


def shown(topic, key, value, headers=()):
    record = Followed(topic.full_name(Settings()), 0, 3, AT, key, value, headers)
    return "\n".join(line.plain for line in lines(record, Settings()))


class TestLines:
    def test_events(self):
        value = (
            b'{"event_name":"purchase","event_time":%d,"user_id":"c-1","value":9.5,"item_id":"sku-1"}' % AT
        )
        assert shown(topics.EVENTS, b"c-1", value) == (
            "2026-03-01 10:15:00  u:c-1           purchase         sku-1  9.50 "
        )

    def test_alerts_say_who_why_and_what_to_do(self):
        text = shown(topics.ALERTS, b"u:c-1", msgspec.json.encode(ALERT))
        assert "u:c-1" in text
        assert "87% leaves within 7 d (threshold 80%), cart_reminder" in text
        assert "quiet 12.3 d" in text

    def test_recommendations_show_the_first_items_with_reasons(self):
        text = shown(topics.RECOMMENDATIONS, b"u:c-1", msgspec.json.encode(LIST))
        assert "5 items" in text
        assert "1. sku-0           people like it" in text
        assert "sku-3" not in text

    def test_scores_and_their_deletion(self):
        score = ChurnScore("u:c-1@1", "u:c-1", "c-1", AT, "churn-3", ORIGIN, 0.1234, 604_800_000)
        assert "12.34% churn-3" in shown(topics.SCORES, b"u:c-1", msgspec.json.encode(score))
        assert "deleted" in shown(topics.SCORES, b"u:c-1", None)

    def test_neighbours(self):
        row = ItemNeighbours(
            "sku-1", AT, 1_234, 5.5, 1.0, [Partner("sku-2", 1.0, 0.5, 0.2)], category="shoes"
        )
        text = shown(topics.NEIGHBOURS, b"sku-1", msgspec.json.encode(row))
        assert "1,234 touches  shoes  with sku-2" in text

    def test_dead_letters_show_reason_place_and_harmless_bytes(self):
        record = Record(42, AT, b"c-1", b"\x1b[2J{")
        headers = encode.dead_letter(record, Reject("not_json", "cut off"), "clickstream.events.v1", 3)
        text = shown(topics.DEAD_LETTERS, b"c-1", record.value, headers)
        assert "not_json  cut off  clickstream.events.v1[3]@42" in text
        assert "\x1b" not in text

    def test_models_and_workers(self):
        state = {"scorer": {"card": {"churn_auc": 0.71}}}
        model = msgspec.json.encode(ModelSnapshot("churn", "churn-3", AT, 40, 1, state))
        assert "churn-3         40 labels  auc 0.710" in shown(topics.MODELS, b"churn", model)
        worker = msgspec.json.encode(WorkerAnnouncement("w-0", "http://h:1", 4, {"users": [0, 1]}))
        assert "http://h:1  generation 4  users [0, 1]" in shown(topics.WORKERS, b"w-0", worker)

    def test_examples_are_counted(self):
        column = np.zeros(3, np.int64)
        examples = ExampleBatch(
            np.array([0, 0, 1], np.int8),
            np.zeros((3, len(FEATURE_NAMES)), np.float32),
            np.array([1, 0, 1], np.int8),
            column,
            column,
            column.astype(np.uint64),
        )
        text = shown(topics.EXAMPLES, None, examples.pack())
        assert "3 examples, 2 churn, 1 left, 1 hazard" in text

    @pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: topic.name)
    @pytest.mark.parametrize("value", [b"", b"\xff\x00", b"[1]", b'{"items":3}', b"null", b"7", None])
    def test_whatever_lies_in_a_topic_is_shown(self, topic, value):
        assert shown(topic, None, value)

    def test_control_characters_do_not_reach_the_terminal(self):
        assert printable("a\x1b]0;x\x07b\u202e") == "a\\x1b]0;x\\x07b\\u202e"
