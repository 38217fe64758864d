"""`keepstream replay`: the events of files into the event topic."""

import json
import math
import sys
import time
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.errors import BrokerUnavailableError
from streams.settings import load

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.sources.feed import Tally
    from streams.sources.reader import EventReader
    from streams.sources.record import SourceRecord

_SHOWN_EVENTS = 10
_LAST_WAIT_SECONDS = 10.0
_INTERRUPTED = 130


def command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Plain, gzip, zstandard or Parquet; - reads a pipe."),
    ],
    *,
    format_: Annotated[
        str | None, typer.Option("--format", help="Layout of the files; else their first rows tell.")
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Column of a field, or FIELD:=TEXT; repeatable."),
    ] = None,
    speed: Annotated[str, typer.Option(help="max, or event time per real time: 1, 60, 3600.")] = "max",
    limit: Annotated[int | None, typer.Option(min=0, help="Send so many events at most.")] = None,
    skip: Annotated[int, typer.Option(min=0, help="Leave out so many events at the start.")] = 0,
    sort: Annotated[
        bool, typer.Option("--sort", help="Bring all files into one order by event time.")
    ] = False,
    unsorted: Annotated[
        bool, typer.Option("--unsorted", help="Send events that are out of time order as they come.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the first events and send none.")] = False,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Send the events of files to Kafka.

    Layouts: keepstream, retailrocket, rees46, otto, session-rec, yoochoose-clicks, yoochoose-buys,
    diginetica, ga4, segment, online-retail, cdnow, complete-journey, and any table by --map. Event ids depend
    on the rows alone, so that events sent twice are known as duplicates. For example:

      keepstream replay events.jsonl.gz

      keepstream replay clicks.csv --map event_time=at --map user_id=customer --map item_id=product --dry-run

      keepstream replay yesterday.jsonl --speed 3600
    """
    from streams.sources.feed import Pace
    from streams.sources.mapping import FieldMapping
    from streams.sources.reader import EventReader
    from streams.sources.sender import reached

    pace = Pace.parse(speed)
    columns = FieldMapping.parse(mapping) if mapping else None
    with EventReader(files, format=format_, mapping=columns) as reader:
        for name, layout in reader.layouts:
            print(f"{name}: {layout}", file=sys.stderr)
        if dry_run:
            _print_first(_ordered(reader, sort=sort, check=False), _SHOWN_EVENTS if limit is None else limit)
            _print_skipped(reader)
            return
        settings = reached(
            load(config, bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix),
            _say,
        )
        records = _ordered(reader, sort=sort, check=not unsorted)
        last = None if limit is None else skip + limit
        total = reader.report.events - skip if sort else None
        if limit is not None:
            total = limit if total is None else min(limit, total)
        _send(settings, reader, islice(records, skip, last), pace, skip=skip, total=total, as_json=json_)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _ordered(reader: "EventReader", *, sort: bool, check: bool) -> Iterator["SourceRecord"]:
    from streams.sources.reader import checked_order

    if sort:
        return _sorted(reader)
    if not check:
        return reader.records()
    return checked_order(reader.records(), "use --sort, or --unsorted to send them as they come")


def _sorted(reader: "EventReader") -> Iterator["SourceRecord"]:
    """Read everything, and return it in time order."""
    from streams.sources.feed import Tally
    from streams.sources.ordering import in_time_order
    from streams.sources.progress import Progress

    tally = Tally()

    def seen() -> Iterator["SourceRecord"]:
        for record in reader.records():
            tally.count(record)
            if not tally.events % 1000:
                progress.show(tally)
            yield record

    with Progress("read", lambda _: _read_share(reader)) as progress:
        records = in_time_order(seen())
        first = list(islice(records, 1))
    return chain(first, records)


def _read_share(reader: "EventReader") -> float | None:
    return reader.bytes_read / reader.bytes_total if reader.bytes_total else None


def _send(
    settings: "Settings",
    reader: "EventReader",
    records: Iterator["SourceRecord"],
    pace: Any,
    *,
    skip: int,
    total: int | None,
    as_json: bool,
) -> None:
    from streams.sources.feed import Tally, feed
    from streams.sources.progress import Progress
    from streams.sources.sender import EventSender
    from streams.sources.stop import Stop

    def share(tally: Tally) -> float | None:
        return _read_share(reader) if not total else tally.events / total

    started = time.monotonic()
    with Stop() as stop:
        sender = EventSender(settings, stop, _say)
        try:
            with Progress("replay", share) as progress:
                tally = feed(records, sender, pace, stop, progress.show)
            left = sender.finish(_LAST_WAIT_SECONDS) if stop.requested else sender.finish()
        except BrokerUnavailableError as error:
            again = skip + sender.confirmed
            raise BrokerUnavailableError(f"{error}; go on with --skip {again}") from error
    summary = _summary(tally, reader, sender, time.monotonic() - started)
    if as_json:
        print(json.dumps(summary))
    else:
        _print_summary(summary, reader)
    if left:
        raise BrokerUnavailableError(
            f"{left:,} events were not confirmed; go on with --skip {skip + sender.confirmed}"
        )
    if stop.requested:
        again = skip + tally.events
        print(f"stopped; the rest is sent by the same command with --skip {again}", file=sys.stderr)
        raise typer.Exit(_INTERRUPTED)


def _summary(tally: "Tally", reader: "EventReader", sender: Any, seconds: float) -> dict[str, Any]:
    return {
        "topic": sender.topic,
        "events": tally.events - sender.too_large,
        "bytes": tally.bytes,
        "seconds": round(seconds, 3),
        "events_per_second": round(tally.events / seconds, 1) if seconds > 0 else math.inf,
        "first_event_ms": tally.first_ms,
        "last_event_ms": tally.order.latest_ms,
        "out_of_order": tally.order.late,
        "too_large": sender.too_large,
        "skipped": dict(reader.report.skipped),
    }


def _print_summary(summary: dict[str, Any], reader: "EventReader") -> None:
    from streams.sources.progress import clock_text

    print(
        f"{summary['events']:,} events to {summary['topic']} in {summary['seconds']:.1f} s"
        f" ({summary['events_per_second']:,.0f}/s, {summary['bytes'] / 1e6:,.1f} MB);"
        f" event time {clock_text(summary['first_event_ms'])} to {clock_text(summary['last_event_ms'])} UTC"
    )
    if summary["out_of_order"]:
        print(f"{summary['out_of_order']:,} of them come over an hour after a younger one")
    if summary["too_large"]:
        print(f"{summary['too_large']:,} events were larger than the broker takes and were left out")
    _print_skipped(reader)


def _print_skipped(reader: "EventReader") -> None:
    for line in reader.report.lines():
        print(line, file=sys.stderr)


def _print_first(records: Iterator["SourceRecord"], count: int) -> None:
    from streams.sources.ordering import OrderWatch

    watch = OrderWatch()
    for record in islice(records, count):
        watch.see(record.time_ms)
        sys.stdout.write(record.value.decode("utf-8", "replace") + "\n")
    if watch.late:
        print(f"not in time order: {watch.describe()}; use --sort", file=sys.stderr)
