"""The seal on every row of a changelog: a checksum over key and value, and the format the rows are in.

A store's rows go through `Journal.seal` on their way out and through `Journal.open` on their way back, so
that a damaged row is refused by its key instead of being loaded as other numbers.
"""

from collections.abc import Iterable
from itertools import compress
from typing import Final, Protocol
from zlib import crc32

import numpy as np

from online_models.errors import CorruptStateError

Row = tuple[bytes, bytes | None]

FORMAT: Final = 2
"""Format of the rows; in format 1 rows bore no seal, and table rows did not name their schema."""

FORMAT_ROWS: Final = b"\0format:"
_FORMAT_ROW: Final = FORMAT_ROWS + str(FORMAT).encode()
_SEAL: Final = 4
_INTACT: Final = 0x2144DF1C
"""What CRC-32 makes of any bytes that are followed by their own CRC-32, least byte first."""


class Journaled(Protocol):
    """A part of a store with rows of its own in the store's changelog."""

    @property
    def nbytes(self) -> int:
        """Bytes of its columns."""

    def dirty_rows(self) -> list[Row]:
        """Return the rows changed since the last call, encoded, and count them as clean."""

    def restore(self, rows: list[Row]) -> None:
        """Load rows as `dirty_rows` returns them, in log order."""


class Journal:
    """Seals the rows of one changelog partition and opens them again.

    The first sealed row says so: rows before it in the log are of format 1, all others must bear a seal.

    Examples
    --------
    >>> rows = Journal().seal([(b"ann", b"7"), (b"bob", None)])
    >>> Journal().open(rows)
    [(b'ann', b'7'), (b'bob', None)]
    >>> Journal().open([*rows, (b"ann", rows[1][1].replace(b"7", b"8"))])
    Traceback (most recent call last):
        ...
    online_models.errors.CorruptStateError: row b'ann' is damaged: its checksum does not fit
    """

    def __init__(self) -> None:
        self._sealed = False

    def seal(self, rows: Iterable[Row]) -> list[Row]:
        """Return rows as they are written, behind the row that names the format where the log lacks it."""
        sealed = [(key, value if value is None else _sealed(key, value)) for key, value in rows]
        if sealed and not self._sealed:
            self._sealed = True
            sealed.insert(0, (_FORMAT_ROW, _sealed(_FORMAT_ROW, b"")))
        return sealed

    def open(self, rows: Iterable[Row]) -> list[Row]:
        """Return the latest of the rows of every key as it was before `seal`; others are not looked at.

        Parameters
        ----------
        rows
            Consecutive rows of the log, in its order; earlier ones were given before.

        Raises
        ------
        CorruptStateError
            When a seal does not fit, or a newer release has written here.
        """
        rows = list(rows)
        begin = 0
        if not self._sealed:
            begin = next((place for place, (key, _) in enumerate(rows) if key == _FORMAT_ROW), len(rows))
            self._sealed = begin < len(rows)
        plain, sealed = dict(rows[:begin]), dict(rows[begin:])
        for key in [key for key in (*plain, *sealed) if key.startswith(FORMAT_ROWS) and key != _FORMAT_ROW]:
            raise CorruptStateError(
                f"row {key!r} is of a newer release: this one reads formats up to {FORMAT}", key
            )
        opened = _opened(sealed)
        if begin:
            opened = list((plain | dict(opened)).items())
        return opened if _FORMAT_ROW not in sealed else [row for row in opened if row[0] != _FORMAT_ROW]


def _sealed(key: bytes, value: bytes) -> bytes:
    return value + crc32(value, crc32(key)).to_bytes(_SEAL, "little")


def _opened(rows: dict[bytes, bytes | None]) -> list[Row]:
    gone: list[Row] = [row for row in rows.items() if row[1] is None]
    for key, _ in gone:
        del rows[key]
    keys, values = list(rows), [value for value in rows.values() if value is not None]
    sums = np.fromiter(map(crc32, values, map(crc32, keys)), np.uint32, len(keys))
    for key in compress(keys, (sums != _INTACT).tolist()):
        raise CorruptStateError(f"row {key!r} is damaged: its checksum does not fit", key)
    return [*zip(keys, [value[:-_SEAL] for value in values], strict=True), *gone]
