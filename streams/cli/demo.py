"""`keepstream demo`: a shop, a broker and a worker in one command, and what comes out."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.demo.run import Demo


def command(
    *,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="How long events are sent; else until Ctrl-C.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="A line now and then instead of the screen; for logs.")
    ] = False,
    rate: Annotated[float, typer.Option(min=1, help="Events a second, if the machine keeps up.")] = 1_500,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another shop.")] = 1,
    keep_data: Annotated[
        Path | None,
        typer.Option("--keep-data", metavar="DIR", help="Keep log and state here, to go on with them."),
    ] = None,
) -> None:
    """Run a simulated shop on an embedded broker and watch Keepstream learn; nothing to install.

    Users browse, buy and leave in compressed time, about a day a second. A real worker reads their events
    from Kafka and writes alerts and recommendations back; what you see is read from its topics and metrics.
    Ctrl-C ends it with a summary in which everything that was sent is accounted for. For example:

      keepstream demo

      keepstream demo --seconds 40 --plain --keep-data shop
    """
    from streams.demo.run import Demo
    from streams.sources.stop import Stop

    _forget_settings()
    live = not plain and sys.stdout.isatty()
    with _directory(keep_data) as directory, Stop() as stop:
        demo = Demo(directory, seed=seed, rate=rate, seconds=seconds, stop=stop, live=live)
        code = demo.run()
    _say_how_to_go_on(demo, keep_data)
    raise typer.Exit(code)


def _forget_settings() -> None:
    """Take the reader's own settings out of the way: they belong to another shop and another broker."""
    for name in [name for name in os.environ if name.startswith("KEEPSTREAM_")]:
        del os.environ[name]


@contextlib.contextmanager
def _directory(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        yield kept
        return
    directory = Path(tempfile.mkdtemp(prefix="keepstream-demo-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _say_how_to_go_on(demo: "Demo", kept: Path | None) -> None:
    lines = [
        ("keepstream replay FILE", "your own events; `keepstream validate FILE` checks them first"),
        ("keepstream evaluate --help", "how good it is on your data"),
    ]
    if kept is None:
        lines.insert(0, ("keepstream demo --keep-data shop", "keep log and state, to look into them"))
    else:
        lines[:0] = [
            (f"keepstream broker --data-dir {kept}", "serve the log again"),
            (f"keepstream worker --data-dir {kept} --config {demo.config}", "go on from the last checkpoint"),
            (f"keepstream user {demo.a_user}", "look somebody up"),
        ]
    width = max(len(line) for line, _ in lines)
    print("\nGo on:")
    for line, meaning in lines:
        print(f"  {line.ljust(width)}   {meaning}")
