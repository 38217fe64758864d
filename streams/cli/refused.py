"""Rows of compacted topics as a command lists them: what workers would refuse is told and makes it fail."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import typer

from online_models.errors import KeepstreamError
from streams.cli.tail_lines import printable

T = TypeVar("T")


def accepted_rows(
    rows: Mapping[bytes, bytes], read: Callable[[bytes, bytes], T]
) -> Iterator[tuple[bytes, T]]:
    """Yield the value of every row and what it says; at the end, exit with 1 if there were refused ones.

    Parameters
    ----------
    rows
        Values by key.
    read
        Reads a row as a worker does.
    """
    refused = False
    for key, value in rows.items():
        try:
            found = read(key, value)
        except KeepstreamError as error:
            refused = True
            name, reason = printable(key.decode(errors="replace")), printable(str(error))
            typer.echo(f"refused: {name}: {reason}", err=True)
        else:
            yield value, found
    if refused:
        raise typer.Exit(1)
