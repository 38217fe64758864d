"""Events into a file of JSON lines, plain or, by its name, gzipped."""

import gzip
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from streams.errors import SourceError
from streams.sources.record import SourceRecord


class EventFile:
    """Writes records to a file, which appears under its name when it is whole.

    Parameters
    ----------
    path
        Ends in ``.gz`` for gzip; the bytes depend on the events alone.

    Raises
    ------
    SourceError
        If the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".part")
        self._stack = ExitStack()
        try:
            raw = self._stack.enter_context(self._partial.open("wb", buffering=1 << 20))
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}") from error
        self._file: IO[bytes] | gzip.GzipFile = raw
        if path.suffix == ".gz":
            self._file = self._stack.enter_context(
                gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0)
            )

    def send(self, record: SourceRecord) -> None:
        """Write one event."""
        try:
            self._file.write(record.value)
            self._file.write(b"\n")
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror or error}") from error

    def poll(self, seconds: float) -> None:
        """Do nothing: a file is never behind."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._stack.close()
            if kind is None:
                self._partial.replace(self._path)
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror or error}") from error
        finally:
            self._partial.unlink(missing_ok=True)


def write_lines(path: Path, rows: Iterable[bytes]) -> None:
    """Write rows of JSON to a file."""
    with EventFile(path) as file:
        for row in rows:
            file.send(SourceRecord(None, None, row))
