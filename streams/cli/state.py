"""`keepstream state`: save the state of stopped workers to a file, and load it into empty topics."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import BootstrapServers, Config, TopicPrefix
from streams.cli.reach import reach

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="Save the state to a file, or load it.",
)


class _Events(Enum):
    KEPT = "kept"
    NEW = "new"


_File = Annotated[Path, typer.Argument(metavar="FILE", help="The file of the state.")]


@app.command()
def save(
    file: _File,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Save the state of stopped workers.

    Let the workers read to the end and stop them all before: it is refused while one writes, and while item
    pairs or examples wait. For example:

      keepstream state save shop.state
    """
    from streams import state_copy

    copied = state_copy.save(reach(config, bootstrap_servers, topic_prefix), file)
    for name, rows in copied.rows.items():
        print(f"{rows:>12,} rows of {name}")
    print(f"{file.stat().st_size:>12,} bytes in {file}")
    print(f"{copied.events_ahead:>12,} events not read yet: they stay in {_events()}")


@app.command("load")
def load_(
    file: _File,
    events: Annotated[
        _Events,
        typer.Option(
            "--events", help="kept: read on in the event topic; new: it is another one, read it all."
        ),
    ] = _Events.KEPT,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Load a saved state into empty topics.

    Missing topics are created. No worker may run; those that start after it go on where the saved ones had
    stopped. For example:

      keepstream state load shop.state
      keepstream state load shop.state --events new --topic-prefix trial.
    """
    from streams import state_copy

    settings = reach(config, bootstrap_servers, topic_prefix)
    copied = state_copy.load(settings, file, events.value)
    for name, rows in copied.rows.items():
        print(f"{rows:>12,} rows of {name}")
    print(f"{copied.events_ahead:>12,} events of {_events()} to read on from there")


def _events() -> str:
    from streams import topics

    return topics.EVENTS.name
