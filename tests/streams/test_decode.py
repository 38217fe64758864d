"""The decoder: every record becomes an event or a reject with the right reason, whatever its bytes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.errors import InvalidParameterError
from online_models.events import EVENT_NAMES, KIND, hash_id
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.schemas import Event
from tests.streams.event_corpus import BAD, BAD_BYTES, GOOD, ITEM, NOW_MS, event


def record(value, *, offset=0, timestamp=NOW_MS, headers=()):
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record(offset, timestamp, b"key", raw, headers)


def decode(*values, **limits):
    return Decoder(**limits).decode([record(value, offset=n) for n, value in enumerate(values)])


class TestAcceptedEvents:
    @pytest.mark.parametrize("name", list(GOOD))
    def test_a_good_event_is_accepted(self, name):
        decoded = decode(GOOD[name])
        assert decoded.rejects == []
        assert len(decoded.events) == 1

    def test_columns_hold_what_the_events_say(self):
        events = decode(
            event(session_id="s-1", value=179.9, rating=4, items=[ITEM, {"item_id": "sku-2"}]),
            event(event_id="e-2", event_name="shook_phone", user_id=..., anonymous_id="d-1"),
        ).events
        assert events.subject == ["u:c-1", "a:d-1"]
        assert events.event_id.tolist() == [hash_id("e-1"), hash_id("e-2")]
        assert events.kind.tolist() == [KIND["view_item"], KIND["other"]]
        assert events.time.tolist() == [NOW_MS, NOW_MS]
        assert events.offset.tolist() == [0, 1]
        assert events.session.tolist() == [hash_id("s-1"), 0]
        assert events.item_start.tolist() == [0, 2, 2]
        assert events.item == ["sku-1", "sku-2"]
        assert events.item_hash.tolist() == [hash_id("sku-1"), hash_id("sku-2")]
        assert events.category == ["Shoes", ""]
        np.testing.assert_array_equal(events.value, [179.9, np.nan])
        np.testing.assert_array_equal(events.rating, [4, np.nan])
        np.testing.assert_array_equal(events.price, [89.95, np.nan])
        np.testing.assert_array_equal(events.quantity, [2, 1])

    @pytest.mark.parametrize("name", EVENT_NAMES)
    def test_every_listed_name_has_its_own_kind(self, name):
        assert decode(event(event_name=name)).events.kind.tolist() == [KIND[name]]

    def test_a_customer_wins_over_a_visitor(self):
        assert decode(event(anonymous_id="d-1")).events.subject == ["u:c-1"]

    def test_repeated_items_are_merged(self):
        repeated = [
            {"item_id": "a", "quantity": 2},
            {"item_id": "b"},
            {"item_id": "a", "price": 3, "item_category": "Shoes"},
            {"item_id": "a", "price": 4, "item_category": "Hats"},
        ]
        events = decode(event(items=repeated)).events
        assert events.item == ["a", "b"]
        assert events.quantity.tolist() == [4, 1]
        assert events.price[0] == 3
        assert events.category == ["Shoes", ""]

    def test_a_single_item_counts_only_without_a_list(self):
        single = {"item_id": "a", "price": 2, "quantity": 3, "item_category": "Shoes"}
        alone, empty, beside = (
            decode(event(**single, **items)).events
            for items in ({}, {"items": []}, {"items": [{"item_id": "b"}]})
        )
        assert alone.item == empty.item == ["a"]
        assert (alone.price[0], alone.quantity[0], alone.category) == (2, 3, ["Shoes"])
        assert beside.item == ["b"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2026-03-01T10:15:00.250Z", NOW_MS),
            ("2026-03-01T11:15:00.2509+01:00", NOW_MS),
            ("1970-04-26T17:46:40Z", 10_000_000_000),
        ],
    )
    def test_times_are_read_to_the_millisecond_rounded_down(self, text, expected):
        assert decode(event(event_time=text)).events.time.tolist() == [expected]

    def test_no_records_are_an_empty_batch(self):
        decoded = decode()
        assert len(decoded.events) == 0
        assert decoded.events.item_start.tolist() == [0]

    def test_depth_beyond_the_limit_in_text_or_side_by_side_is_no_depth(self):
        many = event(items=[{"item_id": f"i{n}"} for n in range(100)], text="[" * 500, x=[[]] * 500)
        assert decode(many).rejects == []

    def test_a_name_of_a_field_inside_other_fields_is_no_repetition(self):
        nested = event(
            properties={"user_id": "x", "event_id": "y", "event_label": "z"}, text='"items"', x="user_id"
        )
        assert decode(nested, event(), event(event_label="a", anonymous_id=None)).rejects == []


class TestRejects:
    @pytest.mark.parametrize("name", list(BAD))
    def test_a_bad_event_is_rejected_with_its_reason(self, name):
        reason, document = BAD[name]
        assert self.reasons(decode(json.dumps(document).encode())) == [reason]

    @pytest.mark.parametrize("name", list(BAD_BYTES))
    def test_bad_bytes_are_rejected_with_their_reason(self, name):
        reason, value = BAD_BYTES[name]
        assert self.reasons(decode(value)) == [reason]

    def test_rejects_and_events_keep_their_places(self):
        decoded = decode(
            None, event(), b"x", event(event_id="e-2"), event(user_id=...), event(event_id="e-3")
        )
        assert decoded.index.tolist() == [1, 3, 5]
        assert decoded.events.offset.tolist() == [1, 3, 5]
        assert [place for place, _ in decoded.rejects] == [0, 2, 4]

    def test_a_verdict_does_not_depend_on_the_other_records(self):
        values = [
            *GOOD.values(),
            *(json.dumps(value).encode() for _, value in BAD.values()),
            *(raw for _, raw in BAD_BYTES.values()),
        ]
        together = decode(*values)
        alone = [decode(value) for value in values]
        assert together.rejects == [(n, one.rejects[0][1]) for n, one in enumerate(alone) if one.rejects]
        accepted = [one.events for one in alone if not one.rejects]
        assert list(together.events.subject) == [one.subject[0] for one in accepted]
        assert together.events.event_id.tolist() == [int(one.event_id[0]) for one in accepted]
        assert together.events.item == [item for one in accepted for item in one.item]

    def test_messages_name_the_field_and_never_its_content(self):
        document = event(items=[ITEM | {"price": "secret"}])
        assert decode(document).rejects[0][1].message == "items[0].price: expected number or null, got string"

    def test_an_event_at_the_tolerance_is_not_from_the_future(self):
        assert decode(event(event_time=NOW_MS + 300_000)).rejects == []

    def test_without_a_broker_timestamp_the_future_is_not_judged(self):
        ahead = record(event(event_time=NOW_MS + 10**9), timestamp=-1)
        assert Decoder().decode([ahead]).rejects == []

    @staticmethod
    def reasons(decoded):
        return [reject.reason for _, reject in decoded.rejects]


class TestCloudEvents:
    HEADERS = (
        ("ce_id", b"ce-1"),
        ("ce_type", b"com.shop.purchase"),
        ("ce_time", b"2026-03-01T10:15:00.250Z"),
    )

    def test_headers_stand_in_for_missing_fields(self):
        events = Decoder().decode([record({"user_id": "c-1"}, headers=self.HEADERS)]).events
        assert events.event_id.tolist() == [hash_id("ce-1")]
        assert events.kind.tolist() == [KIND["purchase"]]
        assert events.time.tolist() == [NOW_MS]

    def test_fields_of_the_event_win(self):
        events = Decoder().decode([record(event(event_time=...), headers=self.HEADERS)]).events
        assert events.event_id.tolist() == [hash_id("e-1")]
        assert events.kind.tolist() == [KIND["view_item"]]
        assert events.time.tolist() == [NOW_MS]

    @pytest.mark.parametrize(
        ("value", "headers", "reason"),
        [
            (b"{}", HEADERS, "no_subject"),
            (b'{"user_id": "c-1"}', HEADERS[:2], "missing_field"),
            (b'{"user_id": "c-1"}', (*HEADERS[:2], ("ce_time", b"noon")), "bad_time"),
            (b'{"user_id": "c-1"}', (("ce_id", b"\xff"), *HEADERS[1:]), "missing_field"),
            (b'{"user_id": "c-1"}', (("ce_id", None), *HEADERS[1:]), "missing_field"),
            (b'{"user_id": "a", "user_id": "b"}', HEADERS, "duplicate_key"),
            (b"[1]", HEADERS, "not_an_object"),
        ],
    )
    def test_what_is_still_wrong_is_rejected(self, value, headers, reason):
        rejects = Decoder().decode([record(value, headers=headers)]).rejects
        assert [reject.reason for _, reject in rejects] == [reason]


class TestLimits:
    @pytest.mark.parametrize(
        "limits", [{"max_event_bytes": 0}, {"future_tolerance_ms": -1}, {"max_depth": 0}, {"max_depth": 101}]
    )
    def test_a_limit_out_of_range_names_itself(self, limits):
        with pytest.raises(InvalidParameterError, match=next(iter(limits))):
            Decoder(**limits)

    def test_size_is_judged_to_the_byte(self):
        raw = json.dumps(event()).encode()
        assert decode(raw, max_event_bytes=len(raw)).rejects == []
        assert decode(raw, max_event_bytes=len(raw) - 1).rejects[0][1].reason == "too_large"

    def test_depth_is_judged_to_the_level(self):
        nested = event(x=[[{}]])
        assert decode(nested, max_depth=4).rejects == []
        assert decode(nested, max_depth=3).rejects[0][1].reason == "too_deep"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        [NOW_MS, "", "e-1", "view_item", "2026-03-01T10:15:00Z", "EUR", -1, 2**63, 2**64, 1e300]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from([*Event.__struct_fields__, "x"])


@st.composite
def mutated(draw):
    """A valid event with fields replaced, then bytes deleted, repeated or overwritten."""
    document = dict(draw(st.sampled_from(list(GOOD.values()))))
    document |= draw(st.dictionaries(fields, json_values, max_size=3))
    raw = bytearray(json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, max(len(raw) - 1, 0)))
        stop = start + draw(st.integers(0, 4))
        raw[start:stop] = draw(st.sampled_from([b"", bytes(raw[start:stop]) * 2]) | st.binary(max_size=3))
    return bytes(raw)


class TestAnyBytes:
    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.none() | st.binary(max_size=60) | mutated(), max_size=6))
    def test_every_record_is_accepted_or_rejected_with_a_reason(self, values):
        records = [record(value, offset=n) for n, value in enumerate(values)]
        decoded = Decoder(max_event_bytes=50_000).decode(records)
        places = decoded.index.tolist() + [place for place, _ in decoded.rejects]
        assert sorted(places) == list(range(len(values)))
        assert all(reject.reason and reject.message for _, reject in decoded.rejects)
        events = decoded.events
        assert len(events) == len(decoded.index)
        assert events.item_start[-1] == len(events.item) == len(events.quantity)
        assert all(subject[2:].strip() for subject in events.subject)
        assert np.all(events.event_id)
        assert not np.any(events.price < 0)
        alone = [Decoder(max_event_bytes=50_000).decode([one]).rejects for one in records]
        assert decoded.rejects == [(n, found[0][1]) for n, found in enumerate(alone) if found]
