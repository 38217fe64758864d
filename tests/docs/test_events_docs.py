"""docs/events.md and docs/schemas/ say what the code does, and JSON Schema and decoder judge alike."""

import json
import re
from datetime import datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.events import EVENT_NAMES, RejectReason
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.event_docs import files
from streams.reject_reasons import ADVICE
from streams.schemas import Event
from streams.schemas.documents import EVENT, SAMPLES, json_schema
from tests.streams.event_corpus import BAD, GOOD, NOW_MS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "events.md").read_text()
CURRENT = files(ROOT)

checker = jsonschema.FormatChecker(formats=())


@checker.checks("date-time", raises=ValueError)
def is_a_time(text):
    return not isinstance(text, str) or bool(datetime.fromisoformat(text.upper()))


SCHEMA = jsonschema.Draft202012Validator(json_schema("event"), format_checker=checker)


def accepted(document):
    raw = json.dumps(document).encode()
    return not Decoder(future_tolerance_ms=2**50).decode([Record(0, NOW_MS, None, raw)]).rejects


@pytest.mark.parametrize("path", list(CURRENT), ids=lambda path: path.name)
def test_a_generated_file_is_current(path):
    assert path.read_text() == CURRENT[path], "run: python -m streams.event_docs"


def test_no_schema_is_left_over():
    found = {path.name for path in (ROOT / "docs" / "schemas").iterdir()}
    assert found == {f"{name}.json" for name in SAMPLES}


@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_schema_is_valid_and_fits_its_sample(name):
    schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    sample = json.loads(msgspec.json.encode(SAMPLES[name]))
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(sample)


def test_every_json_block_of_the_page_is_json():
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(blocks[0]) == EVENT
    assert all(json.loads(block) for block in blocks)


def test_the_event_of_the_producer_example_is_accepted():
    value = re.search(r"value='(.*)',\n", PAGE)[1]
    assert accepted(json.loads(value))


def test_every_name_and_every_reason_stands_on_the_page():
    assert all(f"| `{name}` |" in PAGE for name in EVENT_NAMES if name != "other")
    assert list(ADVICE) == list(RejectReason.__args__)
    assert all(f"| `{reason}` |" in PAGE for reason in ADVICE)


def test_links_of_the_page_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def text(most):
    """Any text but with a newline at its end: Python's `$` lets it pass, that of JSON Schema does not."""
    return st.text(max_size=most).filter(lambda value: not value.endswith("\n"))


class TestSchemaAndDecoderAgree:
    @pytest.mark.parametrize("name", list(GOOD))
    def test_a_good_event_fits_the_schema(self, name):
        SCHEMA.validate(GOOD[name])

    @pytest.mark.parametrize("name", list(BAD))
    def test_a_bad_event_does_not_fit_the_schema(self, name):
        assert not SCHEMA.is_valid(BAD[name][1])

    values = (
        st.none()
        | st.booleans()
        | st.integers(-5, 10)
        | st.sampled_from(
            [NOW_MS, 10_000_000_000, 9_999_999_999, 4_102_444_800_000, 2**63, 10**13, 0.5, 1e13]
        )
        | text(4)
        | st.integers(60, 130).map(lambda n: "x" * n)
        | st.sampled_from(["EUR", "eur", "2026-03-01T10:15:00Z", " ", "\t", "\x7f", "\x85"])
        | st.just([])
        | st.just({})
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "item_id": text(2),
                    "price": st.integers(-1, 1) | st.none(),
                    "quantity": st.integers(0, 2),
                    "item_category": text(2) | st.integers(),
                },
            ),
            max_size=3,
        )
    )

    @settings(max_examples=400, deadline=None)
    @given(st.dictionaries(st.sampled_from(Event.__struct_fields__), values, max_size=3), st.booleans())
    def test_any_mixture_is_judged_alike(self, changes, whole):
        document = (EVENT if whole else {}) | changes
        assert accepted(document) == SCHEMA.is_valid(document)
