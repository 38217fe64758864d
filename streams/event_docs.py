"""Writes the generated parts of docs/events.md and docs/schemas/: `python -m streams.event_docs`.

Prose stays in docs/events.md; a part between ``<!-- generated: NAME -->`` and ``<!-- end -->`` is replaced.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from online_models.admission import Admission
from online_models.events import EVENT_NAMES, KIND, SILENT_KINDS, TOUCH_KINDS, Reject, RejectReason
from streams import topics
from streams.api.openapi import document
from streams.decode import Decoder
from streams.encode import dead_letter
from streams.engine.handler import Record
from streams.event_notes import BAD_EVENTS, EVENT_NOTES, HEADER_NOTES
from streams.reject_reasons import ADVICE
from streams.schemas.documents import EVENT, SAMPLES, json_schema
from streams.schemas.fields import MAX_AMOUNT

DOCUMENT_TOPICS: Final = {
    "recommendation": topics.RECOMMENDATIONS,
    "churn_alert": topics.ALERTS,
    "intervention": topics.INTERVENTIONS,
    "churn_score": topics.SCORES,
    "customer_profile": topics.PROFILES,
    "retention_board": topics.RETENTION,
    "item_neighbours": topics.NEIGHBOURS,
}
"""Which topic carries which public document."""

INPUT_TOPICS: Final = {"catalog_item": topics.CATALOGUE, "list_rule": topics.RULES}
"""The same of what a shop writes beside its events."""

_BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NOW_MS: Final = 1_772_360_100_250


def files(root: Path) -> dict[Path, str]:
    """Return the generated files and what they must hold.

    Parameters
    ----------
    root
        Directory of the repository; its docs/events.md gives the prose.
    """
    page = root / "docs" / "events.md"
    texts = {
        root / "docs" / "schemas" / f"{name}.json": json.dumps(json_schema(name), indent=2) + "\n"
        for name in SAMPLES
    }
    texts[root / "docs" / "openapi.json"] = json.dumps(document(token=True), indent=2) + "\n"
    return {page: render(page.read_text()), **texts}


def render(page: str) -> str:
    """Return the page with its generated parts brought up to date."""
    return _BLOCK.sub(lambda block: block[1] + "\n".join(_PARTS[block[2]]()) + "\n" + block[3], page)


def main() -> None:
    """Write all files into the current directory's docs folder."""
    for path, text in files(Path.cwd()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(Path.cwd())}\n")


def _table(header: str, rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {header} |"
    yield "|" + "---|" * (header.count("|") + 1)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    rows = []
    for name, field in schema["properties"].items():
        parts = [part for part in field.get("anyOf", [field]) if part.get("type") != "null"]
        meaning = next((part["description"] for part in (field, *parts) if "description" in part), "")
        needed = "required" if name in schema.get("required", ()) else ""
        rows.append((f"`{name}`", " or ".join(map(_type, parts)), needed, meaning))
    return _table("field | type | | meaning", rows)


def _type(part: dict[str, Any]) -> str:
    """Return the type of a field and its limits in words."""
    if "$ref" in part or "allOf" in part:
        reference: str = part["$ref"] if "$ref" in part else part["allOf"][0]["$ref"]
        return reference.rpartition("/")[2]
    kind: str = part.get("type", "any")
    if kind == "string":
        return _string(part)
    if kind == "array":
        items = "values" if "prefixItems" in part else _type(part["items"])
        return f"list of {items}" + (f", at most {part['maxItems']}" if "maxItems" in part else "")
    if "minimum" not in part or "exclusiveMaximum" in part:
        return kind
    least, most = part["minimum"], part.get("maximum")
    if most is None:
        return f"{kind}, at least {least:g}"
    return f"{kind}, {least:g} to " + ("10^12" if most == MAX_AMOUNT else f"{most:g}")


def _string(part: dict[str, Any]) -> str:
    if part.get("format") == "date-time":
        return "RFC 3339 string"
    least, most = part.get("minLength", 0), part.get("maxLength")
    if most is None:
        return "string"
    return f"string of {most}" if least == most else f"string, {least} to {most}"


def _event_part() -> Iterator[str]:
    return _fields(json_schema("event"))


def _item_part() -> Iterator[str]:
    return _fields(json_schema("event")["$defs"]["Item"])


def _sample_part() -> Iterator[str]:
    yield from _json(EVENT)


def _names_part() -> Iterator[str]:
    return _table(
        "event_name | touches items | activity | what it does",
        (
            (
                f"`{name}`" if name != "other" else "any other",
                "yes" if KIND[name] in TOUCH_KINDS else "",
                "" if KIND[name] in SILENT_KINDS else "yes",
                EVENT_NOTES[name],
            )
            for name in EVENT_NAMES
        ),
    )


def _rejects_part() -> Iterator[str]:
    return _table(
        "reason | meaning | what to do",
        ((f"`{reason}`", advice.meaning, advice.remedy) for reason, advice in ADVICE.items()),
    )


def _examples_part() -> Iterator[str]:
    rows = []
    for value in BAD_EVENTS:
        reject = judge(value)
        rows.append((f"`{value}`", f"`{reject.reason}`", reject.message))
    return _table("value of the record | reason | message", rows)


def judge(value: str) -> Reject:
    """Return why a record with this value, written at 2026-03-01T10:15:00.250Z, is rejected.

    Raises
    ------
    ValueError
        If it is accepted.
    """
    decoded = Decoder().decode([Record(0, _NOW_MS, None, value.encode())])
    if decoded.rejects:
        return decoded.rejects[0][1]
    admission = Admission(allowed_lateness_ms=3_600_000, dedupe_window_ms=86_400_000)
    admission.latest_ms = _NOW_MS
    rejects = admission.admit(decoded.events.event_id, decoded.events.time).rejects
    if not rejects:
        raise ValueError(f"an example of a bad event is accepted: {value}")
    return rejects[0][1]


def _headers_part() -> Iterator[str]:
    reason: RejectReason = "no_subject"
    record = Record(1042, _NOW_MS, None, b"")
    reject = Reject(reason, "neither user_id nor anonymous_id is given")
    headers = dead_letter(record, reject, topics.EVENTS.name, 3)
    examples = {name: f"`{(value or b'').decode()}`" for name, value in headers}
    return _table(
        "header | meaning | example",
        ((f"`{name}`", note, examples.get(name, "")) for name, note in HEADER_NOTES.items()),
    )


def _inputs_part() -> Iterator[str]:
    return _documents(INPUT_TOPICS)


def _outputs_part() -> Iterator[str]:
    yield from _documents(DOCUMENT_TOPICS)
    for title in ("Origin", "RecommendedItem", "Partner"):
        yield f"### {title}\n"
        yield from _part(title)
        yield ""


def _documents(carried: Mapping[str, topics.Topic]) -> Iterator[str]:
    for name, topic in carried.items():
        schema = json_schema(name)
        kept = "compacted" if topic.compacted else "kept for a time"
        yield f"### {schema['title']}\n"
        yield f"{schema['description']}\n"
        yield f"Topic `{topic.name}`, key {topic.key}, {kept}; schema [{name}.json](schemas/{name}.json).\n"
        yield from _fields(schema)
        yield ""
        yield from _json(SAMPLES[name])
        yield ""


def _part(title: str) -> Iterator[str]:
    """Describe a part of several documents."""
    for name in DOCUMENT_TOPICS:
        part = json_schema(name).get("$defs", {}).get(title)
        if part is None:
            continue
        yield part["description"] + "\n"
        if "prefixItems" in part:
            places = [(str(n), _type(one), one["description"]) for n, one in enumerate(part["prefixItems"])]
            yield from _table("place | type | meaning", places)
        else:
            yield from _fields(part)
        return


def _json(document: object) -> Iterator[str]:
    yield "```json"
    plain = json.loads(msgspec.json.encode(document), object_hook=_without_nulls)
    yield json.dumps(plain, indent=2, ensure_ascii=False)
    yield "```"


def _without_nulls(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


_PARTS: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "event": _event_part,
    "item": _item_part,
    "sample": _sample_part,
    "names": _names_part,
    "rejects": _rejects_part,
    "reject_examples": _examples_part,
    "headers": _headers_part,
    "inputs": _inputs_part,
    "outputs": _outputs_part,
}

if __name__ == "__main__":
    main()
