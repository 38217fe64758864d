"""Dead letters for people and as JSON."""

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from rich.console import Console
from rich.text import Text

from online_models.events import RejectReason
from streams.cli.aligned import aligned
from streams.cli.tail_lines import clock, printable
from streams.dead_letters import Letter
from streams.reject_reasons import ADVICE, Advice

if TYPE_CHECKING:
    from streams.cli.dlq_replay import Summary
    from streams.refused_rows import RefusedRow

_SHOWN: Final = 4_000


def row(letter: Letter) -> dict[str, Any]:
    """Return what a list says of a letter."""
    said = letter.said
    return {
        "place": letter.place,
        "rejected_at": letter.record.timestamp,
        "reason": letter.reason,
        "message": said.message if said else None,
        "key": _text(letter.key),
        "event": {"topic": said.topic, "partition": said.partition, "offset": said.offset} if said else None,
        "replay_of": letter.replay_of or None,
        "bytes": len(letter.value or b""),
    }


def whole(letter: Letter) -> dict[str, Any]:
    """Return everything that is known of a letter; bytes that are no UTF-8 come in base64 too."""
    value = letter.value
    found = {
        **row(letter),
        "headers": {name: _text(header) for name, header in letter.record.headers},
        "value": _text(value),
    }
    if value is not None and _text(value) != value.decode(errors="surrogateescape"):
        found["value_base64"] = base64.b64encode(value).decode()
    return found


def print_list(counts: Mapping[str, int], letters: Sequence[Letter]) -> None:
    """Print counts and letters."""
    total = sum(counts.values())
    by_reason = sorted(counts.items(), key=lambda pair: -pair[1])
    listed = ", ".join(f"{reason} {count:,}" for reason, count in by_reason)
    print(f"{total:,} dead letters{': ' + listed if listed else ''}")
    if not letters:
        return
    table = [("place", "rejected at (UTC)", "reason", "key", "message")]
    for letter in letters:
        again = f" (again, was {printable(letter.replay_of)})" if letter.replay_of else ""
        message = printable(letter.said.message if letter.said else "no dead letter of ours") + again
        key = printable(_text(letter.key) or "-")
        table.append((letter.place, clock(letter.record.timestamp), letter.reason, key, message))
    print("", *aligned(table), sep="\n")
    if total > len(letters):
        print(f"\nthe newest {len(letters):,}; --limit shows more")


def row_refused(one: "RefusedRow") -> dict[str, Any]:
    """Return what a list says of a row that workers refuse."""
    return {"topic": one.topic, "key": _text(one.key), "reason": one.reason}


def print_refused(rows: "Sequence[RefusedRow]", total: int) -> None:
    """Print the first of the rows that workers refuse."""
    if not total:
        return
    print(f"\n{total:,} rows of catalogue and rules are refused; what they would replace stays in use\n")
    table = [("topic", "key", "reason")]
    table += [(one.topic, printable(_text(one.key) or "-"), printable(one.reason)) for one in rows]
    print(*aligned(table), sep="\n")


def print_letter(letter: Letter) -> None:
    """Print everything about a letter."""
    console = Console(highlight=False, soft_wrap=True)
    advice = ADVICE.get(cast("RejectReason", letter.reason), Advice("", ""))
    said = letter.said
    console.print(Text.assemble((letter.reason, "bold red"), "  ", printable(said.message if said else "")))
    for line in filter(None, advice):
        console.print(Text(f"  {line}", style="italic"))
    if said:
        console.print(
            f"  event {said.topic}[{said.partition}]@{said.offset}, written {clock(said.timestamp)} UTC"
        )
    console.print(f"  letter {letter.place}, rejected {clock(letter.record.timestamp)} UTC")
    console.print(Text(f"  key {printable(_text(letter.key) or 'none')}"))
    for name, value in letter.record.headers:
        if not name.startswith("error."):
            console.print(Text(f"  header {printable(name)}: {printable(_text(value) or '')}", style="dim"))
    if said and said.traceback:
        console.print(Text("\n" + "\n".join(printable(line) for line in said.traceback.splitlines())))
    value = letter.value or b""
    console.print(Text("\n" + printable(value[:_SHOWN].decode(errors="replace"))))
    if len(value) > _SHOWN:
        console.print(f"... {len(value):,} bytes; --raw prints all of them", style="dim")


def print_replay(summary: "Summary") -> None:
    """Print what was sent, or would be."""
    verb = "would be sent" if summary.dry_run else "sent"
    listed = ", ".join(f"{reason} {count:,}" for reason, count in summary.by_reason.most_common())
    print(f"{summary.sent:,} letters {verb} to {summary.topic}{': ' + listed if listed else ''}")
    if summary.outdated:
        print(
            f"{summary.outdated:,} left out: they were sent before and rejected again, as newer letters say"
        )
    if summary.foreign:
        print(f"{summary.foreign:,} left out: they are no dead letters of ours")
    if summary.too_large:
        print(f"{summary.too_large:,} are larger than the broker takes, and were left out")
    if summary.stopped:
        print("stopped; the same command sends the rest, and what was accepted is dropped as duplicate")


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="replace")
