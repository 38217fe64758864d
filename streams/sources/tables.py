"""Rows of delimited text and of Parquet, streamed, each with what identifies it."""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from streams.errors import SourceError
from streams.sources.files import InputFile
from streams.sources.head import Columns, Head

PARQUET_ROWS: Final = 65_536
LARGEST_CELL: Final = 1 << 20
"""Bytes; a longer one is a quote that was never closed."""


class Row(NamedTuple):
    """One row of a table.

    Parameters
    ----------
    number
        Of its first line in the file; of the row for Parquet; from 1.
    raw
        Bytes that tell the row from any other with different cells.
    cells
        Text for delimited files, Python values for Parquet.
    """

    number: int
    raw: bytes
    cells: Sequence[Any]


BadRow = tuple[int, str, str]
"""Line number, reason, message."""


class _Feed(Iterator[str]):
    """Lines for `csv.reader`, which remembers the bytes taken since the last row."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.number = 0
        self.taken: list[bytes] = []

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.taken.append(line)
        try:
            return line.decode()
        except UnicodeDecodeError:
            # Older shop exports are in Latin-1; every byte has a meaning there, so nothing is lost.
            return line.decode("latin-1")


def table_rows(source: InputFile, head: Head, columns: Columns) -> Iterator[Row | BadRow]:
    """Yield the rows of a table of either kind, after its header."""
    if source.is_parquet:
        return _parquet_rows(source)
    return _csv_rows(source, head.delimiter, len(columns.names), header=head.has_header)


def _csv_rows(source: InputFile, delimiter: str, width: int, *, header: bool) -> Iterator[Row | BadRow]:
    csv.field_size_limit(LARGEST_CELL)
    feed = _Feed(source.lines())
    reader = csv.reader(feed, delimiter=delimiter)
    while True:
        feed.taken = []
        first = feed.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield first, "bad_quoting", f"lines {first} to {feed.number}: {error}"
            continue
        if (header and first == 1) or not cells:
            continue
        if len(cells) != width:
            yield first, "wrong_columns", f"{len(cells)} cells where {width} are expected"
            continue
        taken = feed.taken
        yield Row(first, taken[0].rstrip(b"\r\n") if len(taken) == 1 else b"".join(taken), cells)


def parquet_file(source: InputFile) -> Any:
    """Return the open Parquet file.

    Raises
    ------
    SourceError
        If pyarrow is missing or the file is damaged.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  # an optional dependency
        import pyarrow.parquet as pq  # noqa: PLC0415  # same
    except ImportError as error:
        raise SourceError(f"{source.name}: reading Parquet needs: pip install 'keepstream[files]'") from error
    try:
        return pq.ParquetFile(source.path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{source.name}: damaged Parquet: {error}") from error


def _parquet_rows(source: InputFile) -> Iterator[Row]:
    file = parquet_file(source)
    total = file.metadata.num_rows
    encode = msgspec.json.Encoder(enc_hook=str).encode
    number = 0
    for batch in file.iter_batches(PARQUET_ROWS):
        lists = [_python_values(column) for column in batch.columns]
        for cells in zip(*lists, strict=True):
            number += 1
            yield Row(number, encode(cells), cells)
        source.note_progress(number / total)


def _python_values(column: Any) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415  # an optional dependency

    if pa.types.is_timestamp(column.type):
        # Nanoseconds would come back as pandas objects; no event needs them.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values
