"""`keepstream validate`: are the events of a file accepted, and if not, why."""

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import Config, Json

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from streams.settings import Settings
    from streams.sources.files import InputFile
    from streams.validation import Findings, Validator

_LINES_A_STEP = 20_000


def command(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="One event a line; plain, gzip or zstandard. - reads a pipe."),
    ],
    examples: Annotated[int, typer.Option(min=0, help="Rejected lines to show for each reason.")] = 3,
    json_: Json = False,
    config: Config = None,
) -> None:
    """Check the events of a file as the worker would judge them; needs no broker.

    The file counts as one partition, its records as written now. Limits come from the settings. The exit
    code is 1 when an event is rejected or none is left. For example:

      keepstream validate events.jsonl

      keepstream validate events.jsonl.gz --examples 10

      zcat *.gz | keepstream validate - --json
    """
    from streams.errors import SourceError
    from streams.settings import load
    from streams.sources.files import InputFile

    source = InputFile(file)
    try:
        if source.is_parquet:
            raise SourceError(f"{source.name}: Parquet holds no lines of JSON; `keepstream replay` reads it")
        findings = _judged(source, _validator(load(config), examples))
    finally:
        source.close()
    if json_:
        print(json.dumps({"file": source.name, **findings.as_json()}, ensure_ascii=False, indent=2))
    else:
        _print(source.name, findings)
    raise typer.Exit(0 if findings.passed else 1)


def _validator(settings: "Settings", examples: int) -> "Validator":
    from online_models.admission import Admission
    from streams.decode import Decoder
    from streams.settings import milliseconds
    from streams.validation import Validator

    limits = settings.events
    decoder = Decoder(
        max_event_bytes=limits.max_event_bytes, future_tolerance_ms=milliseconds(limits.future_tolerance)
    )
    admission = Admission(
        allowed_lateness_ms=milliseconds(limits.allowed_lateness),
        dedupe_window_ms=milliseconds(limits.dedupe_window),
    )
    return Validator(decoder, admission, now_ms=time.time_ns() // 1_000_000, examples=examples)


def _judged(source: "InputFile", validator: "Validator") -> "Findings":
    """Read the whole file, with progress on standard error where someone watches."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=source.size or None)
        validator.add(_watched(source, progress, task))
    return validator.findings


def _watched(source: "InputFile", progress: "Progress", task: "TaskID") -> Iterator[bytes]:
    for number, line in enumerate(source.lines()):
        if number % _LINES_A_STEP == 0:
            progress.update(task, completed=source.bytes_read)
        yield line


def _print(name: str, findings: "Findings") -> None:
    said = findings.as_json()
    print(f"{said['verdict']}  {name}")
    print(
        f"  {said['accepted']:,} accepted, {said['rejected']:,} rejected, {said['duplicates']:,} duplicates"
    )
    if findings.first_ms is not None and findings.last_ms is not None:
        print(f"  from {_when(findings.first_ms)} to {_when(findings.last_ms)}")
    counts = sorted(said["event_counts"].items(), key=lambda entry: -entry[1])
    if counts:
        print("  " + ", ".join(f"{event} {count:,}" for event, count in counts))
    for reason, entry in said["reasons"].items():
        print(f"\n{reason}  {entry['count']:,}\n  {entry['meaning']}\n  {entry['remedy']}")
        for example in entry["examples"]:
            print(f"    line {example['line']}: {example['message']}\n      {example['excerpt']}")
    if not findings.accepted and not findings.rejected:
        print("\nThere are no events in it.", file=sys.stderr)


def _when(time_ms: int) -> str:
    from datetime import UTC, datetime

    return (
        datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
