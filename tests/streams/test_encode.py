"""Outputs: bytes that carry every document whole, ids that repeat, dead letters that lose nothing."""

import json
import math

import msgspec
import pytest

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import Reject
from streams.encode import (
    MAX_MESSAGE,
    check_id,
    dead_letter,
    encode_alerts,
    encode_announcement,
    encode_neighbours,
    encode_recommendations,
    encode_scores,
    encode_snapshot,
    not_null,
    read,
    read_dead_letter,
    recommendation_id,
)
from streams.engine.handler import Record
from streams.schemas import ItemNeighbours, ModelSnapshot, Origin, Recommendation, RecommendedItem
from streams.schemas.documents import SAMPLES

BULK = {
    "recommendation": (encode_recommendations, b"u:c-4711"),
    "churn_alert": (encode_alerts, b"u:c-4711"),
    "churn_score": (encode_scores, b"u:c-4711"),
    "item_neighbours": (encode_neighbours, b"sku-1042"),
}
SINGLE = {
    "worker_announcement": (encode_announcement, b"host-0"),
    "model_snapshot": (encode_snapshot, b"churn"),
}


@pytest.mark.parametrize("name", list(BULK))
def test_documents_come_back_whole_and_in_order(name):
    encode, key = BULK[name]
    pairs = encode([SAMPLES[name]] * 3)
    assert [pair[0] for pair in pairs] == [key] * 3
    assert [read(type(SAMPLES[name]), value) for _, value in pairs] == [SAMPLES[name]] * 3


@pytest.mark.parametrize("name", list(BULK))
def test_no_documents_are_no_records(name):
    assert BULK[name][0]([]) == []


@pytest.mark.parametrize("name", list(SINGLE))
def test_single_documents_come_back_whole(name):
    encode, expected = SINGLE[name]
    key, value = encode(SAMPLES[name])
    assert key == expected
    assert read(type(SAMPLES[name]), value) == SAMPLES[name]


def test_line_breaks_inside_texts_do_not_split_a_document():
    origin = Origin("users", "m\n", "t", 0, 0)
    broken = Recommendation("0-0", "u:a\nb", 1, "v\r\n\u2028", origin, [RecommendedItem("x\n", 0.5, "\n\n")])
    pairs = encode_recommendations([broken, broken])
    assert [read(Recommendation, value) for _, value in pairs] == [broken, broken]


def test_ids_name_the_cause():
    assert recommendation_id(0, 0) == "0-0"
    assert check_id("u:a", 5) == "u:a@5"


def test_what_is_unknown_is_left_out():
    row = ItemNeighbours("sku", 1, 2, 0.5, 0.1, [])
    document = json.loads(encode_neighbours([row])[0][1])
    assert not {"category", "price"} & set(document)


class TestSnapshots:
    def test_numbers_survive_to_the_last_bit(self):
        state = {"weights": [0.1 + 0.2, 1e-308, -1 / 3, 2**53 + 0.0], "n": 2**63}
        document = msgspec.structs.replace(SAMPLES["model_snapshot"], state=state)
        assert read(ModelSnapshot, encode_snapshot(document)[1]).state == state

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_a_model_with_numbers_that_json_does_not_know_is_refused(self, number):
        document = msgspec.structs.replace(SAMPLES["model_snapshot"], state={"weights": [1.0, number]})
        with pytest.raises(InvalidParameterError, match="churn-184"):
            encode_snapshot(document)


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b"\xff", b'{"item_id": 5}', b"[" * 9999])
def test_a_value_that_is_something_else_names_what_was_expected(value):
    with pytest.raises(CorruptStateError, match="ItemNeighbours"):
        read(ItemNeighbours, value)


class TestDeadLetters:
    RECORD = Record(1042, 1_772_360_100_250, b"\xffkey", b"\xff\x00value", (("traceparent", b"00-1"),))

    def test_headers_say_why_and_where(self):
        headers = dead_letter(self.RECORD, Reject("not_json", "broken"), "clickstream.events.v1", 3)
        assert dict(headers) == {
            "traceparent": b"00-1",
            "error.reason": b"not_json",
            "error.message": b"broken",
            "error.topic": b"clickstream.events.v1",
            "error.partition": b"3",
            "error.offset": b"1042",
            "error.timestamp": b"1772360100250",
        }

    def test_headers_are_read_back(self):
        said = read_dead_letter(dead_letter(self.RECORD, Reject("not_json", "broken"), "events", 3))
        assert said == ("not_json", "broken", "events", 3, 1042, 1_772_360_100_250, "")

    def test_an_exception_leaves_its_traceback(self):
        with pytest.raises(ZeroDivisionError) as raised:
            _ = 1 // 0
        told = read_dead_letter(dead_letter(self.RECORD, Reject("poison", "x"), "events", 3, raised.value))
        assert told.traceback.startswith("Traceback (most recent call last)")
        assert told.traceback.endswith("ZeroDivisionError: integer division or modulo by zero\n")

    def test_a_second_rejection_replaces_the_first(self):
        once = dead_letter(self.RECORD, Reject("not_json", "broken"), "events", 3)
        again = dead_letter(self.RECORD._replace(headers=once), Reject("poison", "boom"), "events", 0)
        assert [name for name, _ in again] == [name for name, _ in once]
        assert read_dead_letter(again).reason == "poison"

    def test_long_messages_and_odd_characters_are_carried_as_far_as_they_can_be(self):
        headers = dead_letter(self.RECORD, Reject("poison", "\ud800" + "x" * 5000), "events", 3)
        assert len(dict(headers)["error.message"]) == MAX_MESSAGE

    @pytest.mark.parametrize(
        ("key", "value", "nulls"), [(None, b"v", b"key"), (b"k", None, b"value"), (None, None, b"key,value")]
    )
    def test_a_header_says_what_was_null(self, key, value, nulls):
        record = self.RECORD._replace(key=key, value=value)
        headers = dead_letter(record, Reject("empty_value", "none"), "events", 3)
        assert dict(headers)["error.null"] == nulls
        assert read_dead_letter(headers).reason == "empty_value"
        assert (not_null(key), not_null(value)) == (key or b"", value or b"")

    @pytest.mark.parametrize(
        "headers", [[], [("error.reason", b"x")], [(f"error.{n}", b"x") for n in ("reason", "offset")]]
    )
    def test_other_headers_are_no_dead_letter(self, headers):
        assert read_dead_letter(headers) is None
