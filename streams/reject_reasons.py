"""What each reject reason means and what to do about it: read by commands and printed in docs/events.md."""

from typing import Final, NamedTuple

from online_models.events import RejectReason


class Advice(NamedTuple):
    """Meaning and remedy of a reject reason, one sentence each."""

    meaning: str
    remedy: str


ADVICE: Final[dict[RejectReason, Advice]] = {
    "not_json": Advice(
        "The value is no JSON text in UTF-8 (broken, cut off, NaN, Infinity, a lone surrogate).",
        "Write with a JSON library, not by joining strings; send UTF-8 without a byte order mark.",
    ),
    "not_an_object": Advice(
        "The value is JSON, but no object.", "Send one event per record, never an array of them."
    ),
    "too_large": Advice(
        "The value is longer than `max_event_bytes`.",
        "Leave out what no model reads, or raise the limit.",
    ),
    "too_deep": Advice("Objects and arrays are nested deeper than the limit.", "Flatten `properties`."),
    "missing_field": Advice(
        "A required field is missing.", "Send event_id, event_name and event_time (or the `ce_` headers)."
    ),
    "wrong_type": Advice(
        "A field has another JSON type than the table says; nothing is converted.",
        "Send numbers without quotes, and ids with them.",
    ),
    "out_of_range": Advice(
        "A number or a length lies outside its limits.", "Correct the producer; prices are never negative."
    ),
    "empty_value": Advice(
        "An id is empty or blank, or the record has no value at all.",
        "Leave out an optional field instead of sending it empty; do not send tombstones.",
    ),
    "bad_value": Advice(
        "A text has a form that it must not have.",
        "Currencies are three capital letters; ids hold no control characters.",
    ),
    "duplicate_key": Advice(
        "A field that decides whose event it is stands in the object twice.",
        "Build the object before writing it; readers disagree about which of two values counts.",
    ),
    "bad_time": Advice(
        "event_time is no RFC 3339 time with a time zone, or lies outside 1970-04-26 to 2099-12-31.",
        "Send epoch milliseconds, not seconds, or add the `Z`.",
    ),
    "no_subject": Advice(
        "There is neither user_id nor anonymous_id.", "Send at least one; a random device id will do."
    ),
    "from_the_future": Advice(
        "event_time is later than the record's timestamp by more than `future_tolerance`.",
        "Set the clock of the producer; do not trust those of browsers.",
    ),
    "too_late": Advice(
        "event_time is further behind its partition's clock than `allowed_lateness`.",
        "Send events as they happen; replay history in order of time, before live events.",
    ),
    "poison": Advice(
        "The event broke the engine; it was set aside so that the stream could go on.",
        "Report it with the dead letter: `keepstream dlq show`.",
    ),
}
