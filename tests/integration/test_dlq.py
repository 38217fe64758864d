"""`keepstream dlq` on real brokers: what is listed, shown and sent again, byte by byte."""

import json
import time

import pytest
from confluent_kafka import Producer

from online_models.events import Reject
from streams import clients, compacted, encode, topics
from streams.cli import run
from streams.engine.handler import Record
from tests.integration.shop import Shop, wait_until, workers

AT = 1_772_360_100_250


@pytest.fixture
def shop(settings):
    topics.ensure(settings)
    return Shop(settings)


@pytest.fixture
def start(settings, tmp_path):
    yield from workers(settings, tmp_path)


@pytest.fixture
def bury(shop, settings):
    """Write dead letters as a worker does; return the place of each."""
    producer = Producer(clients.confluent(settings.broker))

    def bury(reason, value, key=b"k", *, partition=0, offset=7, headers=(), said_partition=None):
        told = encode.dead_letter(
            Record(offset, AT, key, value, headers),
            Reject(reason, f"because of {reason}"),
            topics.EVENTS.full_name(settings),
            partition if said_partition is None else said_partition,
        )
        places = []
        producer.produce(
            topics.DEAD_LETTERS.full_name(settings),
            encode.not_null(value),
            encode.not_null(key),
            partition,
            headers=told,
            on_delivery=lambda _, message: places.append(f"{message.partition()}@{message.offset()}"),
        )
        assert producer.flush(20) == 0
        return places[0]

    return bury


@pytest.fixture
def dlq(settings, capsysbinary):
    """Run the command and return its exit code, output and complaints."""

    def dlq(*arguments):
        reach = ["--bootstrap-servers", settings.broker.bootstrap_servers]
        code = run(["dlq", *arguments, *reach, "--topic-prefix", settings.broker.topic_prefix])
        out, err = capsysbinary.readouterr()
        return code, out if "--raw" in arguments else out.decode(), err.decode()

    return dlq


class TestList:
    def test_all_are_counted_and_the_newest_shown(self, bury, dlq):
        for number in range(5):
            bury("not_json", b"{", partition=number % 2)
        bury("wrong_type", b"{}")
        found = json.loads(dlq("list", "--limit", "2", "--json")[1])
        assert found["total"] == 6
        assert found["by_reason"] == {"not_json": 5, "wrong_type": 1}
        assert len(found["letters"]) == 2
        assert found["letters"][-1]["reason"] == "wrong_type"

    def test_filters_by_reason_place_and_time(self, bury, dlq, settings):
        bury("not_json", b"{")
        second = bury("wrong_type", b"{}")
        bury("wrong_type", b"{}", partition=1)
        by = lambda *options: json.loads(dlq("list", "--json", *options)[1])["total"]  # noqa: E731
        assert by("--reason", "wrong_type") == 2
        assert by("--reason", "wrong_type", "--reason", "not_json") == 3
        assert by("--partition", "1") == 1
        assert by("--partition", "0", "--offset", second.partition("@")[2]) == 1
        assert by("--since", "1h") == 3
        assert by("--since", "2098-01-01T00:00:00Z") == 0

    def test_for_people_it_is_a_table(self, bury, dlq):
        place = bury("not_json", b"{", key=b"c-1\x1b[31m")
        out = dlq("list")[1]
        assert "1 dead letters: not_json 1" in out
        assert place in out
        assert "because of not_json" in out
        assert "\x1b" not in out

    def test_rows_of_catalogue_and_rules_that_workers_refuse_are_listed_until_they_are_replaced(
        self, shop, dlq, settings
    ):
        told = {
            topics.CATALOGUE: [(b"good", b'{"item_id": "good"}'), (b"a", b'{"item_id": "b"}'), (b"c", b"{")],
            topics.RULES: [(b"r", b'{"rule_id": "r", "action": "pin"}')],
        }
        for topic, rows in told.items():
            compacted.write(settings, topic.full_name(settings), rows)
        found = json.loads(dlq("list", "--json")[1])["refused_rows"]
        assert [one["key"] for one in found] == ["a", "c", "r"]
        assert found[0]["topic"] == topics.CATALOGUE.full_name(settings)
        assert found[0]["reason"] == "'b' stands under the key b'a'"
        out = dlq("list")[1]
        assert "3 rows of catalogue and rules are refused" in out
        assert "'b' stands under the key b'a'" in out
        assert json.loads(dlq("list", "--since", "1h", "--json")[1])["refused_rows"] == []
        compacted.write(settings, topics.CATALOGUE.full_name(settings), [(b"a", b'{"item_id": "a"}')])
        assert [one["key"] for one in json.loads(dlq("list", "--json")[1])["refused_rows"]] == ["c", "r"]

    def test_none_are_none(self, shop, dlq):
        assert dlq("list")[:2] == (0, "0 dead letters\n")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--reason", "nonsense"], "no reason 'nonsense'; there are bad_time"),
            (["--offset", "3"], "--offset needs --partition"),
            (["--since", "soon"], "such as 28d"),
            (["--since", "2026-03-01T10:15:00"], "needs a zone"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, dlq, options, message):
        code, _, err = dlq("list", *options)
        assert code == 2
        assert message in " ".join(err.replace("│", " ").split())

    def test_a_missing_topic_or_partition_is_named(self, settings, dlq, shop):
        assert "has no partition 99" in dlq("list", "--partition", "99")[2]


class TestShow:
    def test_it_says_why_and_what_to_do(self, bury, dlq):
        place = bury("wrong_type", b'{"user_id": 7}', headers=[("trace", b"1")])
        code, out, _ = dlq("show", place)
        assert code == 0
        assert "because of wrong_type" in out
        assert "Send numbers without quotes" in out
        assert '{"user_id": 7}' in out
        assert "header trace: 1" in out

    def test_raw_is_the_event_byte_by_byte(self, bury, dlq):
        assert dlq("show", bury("not_json", b"\xff\x00{"), "--raw")[1] == b"\xff\x00{"

    def test_json_carries_bytes_that_are_no_text(self, bury, dlq):
        found = json.loads(dlq("show", bury("not_json", b"\xff{"), "--json")[1])
        assert found["value_base64"] == "/3s="
        assert found["headers"]["error.reason"] == "not_json"
        assert "value_base64" not in json.loads(dlq("show", bury("not_json", b"{"), "--json")[1])

    @pytest.mark.parametrize(("place", "code"), [("0@99", 1), ("3", 2), ("a@b", 2), ("0@-1", 2)])
    def test_a_place_where_nothing_is(self, shop, dlq, place, code):
        assert dlq("show", place)[0] == code


class TestReplay:
    EVENTS = (
        (b"c-1", b'{"event_id": "\xc3\xa4"}', [("ce_id", b"1"), ("empty", b"")]),
        (None, b"\xff\xfe\x00", []),
        (b"\x00key\xff", b"{", [("error.reason", b"an older rejection"), ("trace", b"7")]),
        (b"c-2", b"x" * 300_000, []),
    )

    def test_bytes_key_and_headers_come_back_to_their_partition_exactly(self, bury, dlq, shop):
        places = [
            bury("not_json", value, key, partition=number % 4, headers=headers)
            for number, (key, value, headers) in enumerate(self.EVENTS)
        ]
        code, out, _ = dlq("replay", "--all", "--json")
        assert code == 0
        assert json.loads(out)["sent"] == 4
        found = {message.partition(): message for message in shop.read(topics.EVENTS)}
        for number, (key, value, headers) in enumerate(self.EVENTS):
            message = found[number]
            assert (message.key(), message.value()) == (key, value)
            kept = [pair for pair in headers if not pair[0].startswith("error.")]
            sent = message.headers()
            assert sent[: len(kept)] == kept
            assert sent[len(kept)] == ("replay.letter", places[number].encode())
            assert sent[len(kept) + 1][0] == "replay.time"
            assert abs(int(sent[len(kept) + 1][1]) - time.time() * 1000) < 600_000

    def test_an_event_without_a_value_comes_back_without_one(self, bury, dlq, shop):
        bury("not_json", None, None)
        assert dlq("replay", "--all")[0] == 0
        assert [(message.key(), message.value()) for message in shop.read(topics.EVENTS)] == [(None, None)]

    def test_the_tombstone_of_an_erased_user_is_no_letter(self, bury, dlq, settings):
        bury("not_json", b"{", b"c-1")
        producer = Producer(clients.confluent(settings.broker))
        producer.produce(topics.DEAD_LETTERS.full_name(settings), None, b"c-1", 0)
        assert producer.flush(20) == 0
        code, out, _ = dlq("list", "--json")
        assert (code, json.loads(out)["total"]) == (0, 1)

    def test_a_dry_run_tells_and_sends_nothing(self, bury, dlq, shop):
        bury("not_json", b"{"), bury("wrong_type", b"{}")
        code, out, _ = dlq("replay", "--reason", "not_json", "--dry-run")
        assert (code, out.split(" to ")[0]) == (0, "1 letters would be sent")
        assert shop.read(topics.EVENTS) == []

    def test_filters_and_limit_say_which(self, bury, dlq, shop):
        for number in range(4):
            bury("not_json", b"%d" % number)
        bury("wrong_type", b"{}")
        assert dlq("replay", "--reason", "not_json", "--limit", "3")[0] == 0
        assert [message.value() for message in shop.read(topics.EVENTS)] == [b"0", b"1", b"2"]

    def test_without_saying_which_nothing_is_sent(self, bury, dlq, shop):
        bury("not_json", b"{")
        code, _, err = dlq("replay")
        assert code == 2
        assert "say which" in err
        assert shop.read(topics.EVENTS) == []

    def test_a_partition_that_is_no_more_is_left_to_the_key(self, bury, dlq, shop):
        bury("not_json", b"{", b"foobar", said_partition=77)
        assert dlq("replay", "--all")[0] == 0
        (message,) = shop.read(topics.EVENTS)
        assert message.partition() == 1_357_151_166 % 4  # murmur2 of "foobar"

    def test_a_letter_whose_replay_was_rejected_gives_way_to_the_newer_one(self, bury, dlq, shop):
        first = bury("not_json", b"{")
        second = bury("too_late", b"{", headers=[("replay.letter", first.encode()), ("replay.time", b"1")])
        found = json.loads(dlq("replay", "--all", "--json")[1])
        assert (found["sent"], found["outdated"], found["by_reason"]) == (1, 1, {"too_late": 1})
        (message,) = shop.read(topics.EVENTS)
        marks = [value for name, value in message.headers() if name == "replay.letter"]
        assert marks == [second.encode()]
        # Whoever names the old one means it.
        partition, _, offset = first.partition("@")
        found = json.loads(dlq("replay", "--partition", partition, "--offset", offset, "--json")[1])
        assert (found["sent"], found["outdated"]) == (1, 0)

    def test_records_of_somebody_else_stay_where_they_are(self, dlq, shop, settings):
        producer = Producer(clients.confluent(settings.broker))
        producer.produce(topics.DEAD_LETTERS.full_name(settings), b"strange", b"key", 0)
        producer.flush(20)
        found = json.loads(dlq("replay", "--all", "--json")[1])
        assert (found["sent"], found["foreign"]) == (0, 1)


@pytest.mark.slow
def test_a_limit_is_raised_and_the_rejected_events_count_once(shop, start, dlq, settings):
    """The whole way: rejected, replayed in vain, replayed after the limit was raised, replayed too often."""

    def letters():
        return json.loads(dlq("list", "--json", "--limit", "100")[1])["letters"]

    def total():
        return json.loads(dlq("list", "--json")[1])["total"]

    event = {"event_name": "login", "event_time": AT, "user_id": "c-1", "text": "x" * 3_000}
    for number in range(3):
        shop.send_bad("too_large", json.dumps({"event_id": f"big{number}", **event}).encode(), b"c-1")
    shop.flush()
    worker = start(KEEPSTREAM_MAX_EVENT_BYTES="2000")
    wait_until(lambda: total() == 3, "letters")

    assert dlq("replay", "--reason", "too_large")[0] == 0
    wait_until(lambda: total() == 6, "second letters")
    first, second = letters()[:3], letters()[3:]
    assert [one["replay_of"] for one in first] == [None] * 3
    assert {one["replay_of"] for one in second} == {one["place"] for one in first}
    assert worker.terminate() == 0

    worker = start()
    found = json.loads(dlq("replay", "--reason", "too_large", "--json")[1])
    assert (found["sent"], found["outdated"]) == (3, 3)
    worker.wait_until_read()
    assert worker.user("c-1")["event_counts"] == {"login": 3}

    assert dlq("replay", "--reason", "too_large")[0] == 0
    worker.wait_until_read()
    assert worker.user("c-1")["event_counts"] == {"login": 3}
    assert total() == 6
