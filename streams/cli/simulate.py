"""`keepstream simulate`: the clickstream of an invented shop."""

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.errors import BrokerUnavailableError, SourceError
from streams.settings import load

if TYPE_CHECKING:
    from streams.schemas import CatalogItem
    from streams.sources.feed import Tally
    from streams.sources.record import SourceRecord
    from streams.sources.simulator import Shop

_INTERRUPTED = 130
_LAST_WAIT_SECONDS = 10.0


def command(
    *,
    events: Annotated[int | None, typer.Option(min=1, help="Stop after so many whole events.")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="Length; 30 unless --events says where to stop.")
    ] = None,
    users: Annotated[int, typer.Option(min=0, help="Registered users at the start.")] = 10_000,
    items: Annotated[int, typer.Option(min=160, help="Items of the catalogue.")] = 2_000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal events.")] = 1,
    start: Annotated[str, typer.Option(help="First day, like 2024-01-01, or now.")] = "2024-01-01",
    regime_day: Annotated[
        int | None, typer.Option(min=0, help="Day on which tastes shift and users leave twice as easily.")
    ] = None,
    malformed: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of broken events mixed in.")
    ] = 0.0,
    speed: Annotated[str, typer.Option(help="max, or event time per real time: 1, 60, 3600.")] = "max",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JSON lines (.gz: gzipped) instead of sending.")
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the shop's items, for `keepstream catalog load`."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write who left when and why, as JSON lines.")
    ] = None,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Invent a shop's clickstream and send it to Kafka, or write it to a file.

    Users browse, buy, complain, review and leave, for reasons that --truth tells. Equal options give equal
    events. For example:

      keepstream simulate --events 20000 --out events.jsonl
    """
    from streams.sources.breakage import with_broken
    from streams.sources.feed import Pace
    from streams.sources.record import record_of
    from streams.sources.simulator import Shop, ShopConfig

    pace = Pace.parse(speed)
    length = days if days is not None or events is not None else 30
    shop = Shop(
        ShopConfig(
            seed=seed, users=users, items=items, start_ms=_start(start), days=length, regime_day=regime_day
        )
    )
    launched: list[CatalogItem] = []
    whole = islice(_noting(shop, launched), events)
    records = map(record_of, with_broken(whole, malformed, seed))
    settings = load(config, bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    stopped, summary = _run(records, settings, pace, out, total=_total(events, malformed))
    if catalog is not None:
        summary["catalog"] = str(catalog)
        _write_catalogue(launched, catalog)
    if truth is not None:
        summary["truth"] = str(truth)
        _write_truth(shop, truth, summary["last_event_ms"] + 1)
    _print(summary, as_json=json_)
    if summary["unconfirmed"]:
        raise BrokerUnavailableError(f"{summary['unconfirmed']:,} events were not confirmed by the broker")
    if stopped:
        raise typer.Exit(_INTERRUPTED)


def _noting(shop: "Shop", launched: "list[CatalogItem]") -> "Iterator[dict[str, Any]]":
    """Yield the events, and note the items as they come on show."""
    for events in shop.days():
        launched += shop.launched()
        yield from events


def _write_catalogue(items: "list[CatalogItem]", path: Path) -> None:
    import msgspec

    from streams.sources.writer import write_lines

    write_lines(path, map(msgspec.json.encode, items))


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _start(text: str) -> int:
    from streams.sources.values import epoch_ms

    if text == "now":
        return int(datetime.now(UTC).timestamp() * 1000)
    found = epoch_ms(text)
    if found is None:
        raise SourceError(f"--start must be a day like 2024-01-01, a time or now, not {text!r}")
    return found


def _total(events: int | None, malformed: float) -> float | None:
    return None if events is None else events / (1 - malformed)


def _run(
    records: Iterator["SourceRecord"], settings: Any, pace: Any, out: Path | None, *, total: float | None
) -> tuple[bool, dict[str, Any]]:
    """Send or write the records; return whether it was interrupted, and the counts."""
    from streams.sources.feed import Tally, feed
    from streams.sources.progress import Progress
    from streams.sources.sender import EventSender, reached
    from streams.sources.stop import Stop
    from streams.sources.writer import EventFile

    def share(tally: Tally) -> float | None:
        return None if total is None else min(1.0, tally.events / total)

    started = time.monotonic()
    left = 0
    if out is not None:
        with Stop() as stop, EventFile(out) as file, Progress("simulate", share) as progress:
            tally = feed(records, file, pace, stop, progress.show)
    else:
        settings = reached(settings, _say)
        with Stop() as stop:
            sender = EventSender(settings, stop, _say)
            with Progress("simulate", share) as progress:
                tally = feed(records, sender, pace, stop, progress.show)
            left = sender.finish(_LAST_WAIT_SECONDS) if stop.requested else sender.finish()
    to = sender.topic if out is None else str(out)
    return stop.requested, _summary(tally, to, left, time.monotonic() - started)


def _summary(tally: "Tally", to: str, unconfirmed: int, seconds: float) -> dict[str, Any]:
    return {
        "to": to,
        "events": tally.events,
        "bytes": tally.bytes,
        "seconds": round(seconds, 3),
        "events_per_second": round(tally.events / seconds, 1),
        "first_event_ms": tally.first_ms,
        "last_event_ms": tally.order.latest_ms,
        "unconfirmed": unconfirmed,
    }


def _write_truth(shop: "Shop", path: Path, until_ms: int) -> None:
    import msgspec

    from streams.sources.writer import write_lines

    write_lines(path, (msgspec.json.encode(user._asdict()) for user in shop.truth(until_ms)))


def _print(summary: dict[str, Any], *, as_json: bool) -> None:
    from streams.sources.progress import clock_text

    if as_json:
        print(json.dumps(summary))
        return
    print(
        f"{summary['events']:,} events to {summary['to']} in {summary['seconds']:.1f} s"
        f" ({summary['events_per_second']:,.0f}/s, {summary['bytes'] / 1e6:,.1f} MB);"
        f" event time {clock_text(summary['first_event_ms'])} to {clock_text(summary['last_event_ms'])} UTC"
    )
    if summary["last_event_ms"] > datetime.now(UTC).timestamp() * 1000:
        print(
            "events that lie in the future are rejected by workers; use an earlier --start", file=sys.stderr
        )
