"""The `keepstream` command: one file per subcommand, imported only when it runs, so that help stays fast.

A module `streams/cli/NAME.py` exposes either `command`, a function with typer annotations, or `app`, a
`typer.Typer` with subcommands; `COMMANDS` lists the names and what `keepstream --help` says of them.
Errors that Keepstream raises on purpose end a command with one line on standard error and exit code 1.
"""

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
import typer.core

from online_models.errors import KeepstreamError

COMMANDS: Final = {
    "demo": "Watch a simulated shop on an embedded broker.",
    "worker": "Process events: state, alerts, lists, learning.",
    "replay": "Send the events of a file to Kafka.",
    "simulate": "Invent a shop's clickstream.",
    "dataset": "List and prepare public data sets.",
    "evaluate": "Judge recommendations or churn scores on a file.",
    "alerts": "Try an alert policy on a log.",
    "interventions": "Show what win-back is worth.",
    "validate": "Check the events of a file.",
    "tail": "Print the records of a topic as they arrive.",
    "user": "Show a user: counts, churn risk, recommendations.",
    "item": "Show an item: touches and neighbours.",
    "experiments": "Show what has come of experiments with lists.",
    "catalog": "Check, load and list the shop's items.",
    "rules": "Pin, block and boost items of lists.",
    "topics": "Create, list and check the topics.",
    "state": "Save the state to a file, or load it.",
    "config": "Show and check the settings.",
    "broker": "Run the embedded broker in the foreground.",
    "model": "List, show and roll back the churn model.",
    "dlq": "List, show and replay rejected events.",
    "doctor": "Look for what is wrong with broker, topics, workers.",
    "erase": "Erase a user everywhere.",
    "completion": "Print the script that completes commands in a shell.",
}
"""Every subcommand, in the order of use."""

COMPLETE: Final = "_KEEPSTREAM_COMPLETE"
"""Variable under which a shell's completion script asks what could come next."""

_INTERRUPTED: Final = 130

# A pool of threads for linear algebra gains nothing on matrices as small as ours, and while its threads wait
# for work they keep a core busy that the worker or the broker beside it needs. Read when numpy is imported.
for _library in ("OPENBLAS", "VECLIB", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")


class LazyGroup(typer.core.TyperGroup):
    """Lists commands by their one line of help and imports a command's module when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # the name is typer's
        """Return the commands whose modules exist, in the order of the table."""
        return [name for name in COMMANDS if importlib.util.find_spec(f"streams.cli.{name}")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the entry of a command for help and completion, without importing its module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return typer.core.TyperCommand(cmd_name, help=COMMANDS[cmd_name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the module of the command that is called."""
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            close = get_close_matches(name, known, n=1)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        if name not in known:
            return super().resolve_command(ctx, args)
        return name, load_command(name), args[1:]


def load_command(name: str) -> Any:
    """Import a command's module and return the command."""
    module = importlib.import_module(f"streams.cli.{name}")
    if hasattr(module, "app"):
        command = typer.main.get_command(module.app)
    else:
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name)(module.command)
        command = typer.main.get_command(single)
    command.name = name
    return command


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"keepstream {version('keepstream')}")
        raise typer.Exit


# Tracebacks stay plain: the pretty ones print local variables, passwords among them.
app: Final = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,  # `keepstream completion` prints the script
)


@app.callback()
def _keepstream(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Streaming retention engine for online shops.

    Clickstream events go in through Kafka; churn alerts and recommendations come out, learned from every
    event.
    """


def main() -> None:
    """Run the command line and exit: 0 done, 1 an error that is explained, 2 wrong usage, 130 interrupted."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Parameters
    ----------
    arguments
        The words after ``keepstream``.
    """
    # librdkafka reports every failed connection attempt; commands say what they wait for, and how long.
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
    try:
        code = _call(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except KeepstreamError as error:
        print(f"keepstream: error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output has gone; the interpreter must not flush into the pipe once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _call(arguments: Sequence[str]) -> int:
    if COMPLETE in os.environ:
        # A shell asks what could come next; typer knows how shells want to be told only after this.
        from typer.completion import get_completion_inspect_parameters

        get_completion_inspect_parameters()
    try:
        app(list(arguments), prog_name="keepstream")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0
