"""Rows of a table as bytes: a header that names their schema, then the row as it is in memory.

A row bears the fingerprint of its schema; the schema itself is a row of the same log, written before the
first row that bears it and never again, so it comes first in a compacted log too. Rows of other schemas are
converted when they are read and written anew when they are next changed: nothing is rewritten at once, and a
row of an old schema may stay for as long as nothing happens to it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.errors import CorruptStateError, blame
from online_models.journal import Row
from online_models.layout import MARK, Layout, Rows, Schema

SCHEMA_ROWS: Final = b"\0schema:"
_HEADER: Final = np.dtype([("version", "<u2"), ("schema", "<u4")])


class RowFormat:
    """Encodes and decodes the rows of one table in one changelog.

    Parameters
    ----------
    layout
        Of the rows in memory.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._stored = np.dtype([*_fields(_HEADER), ("row", layout.schema.dtype)])
        self._known: dict[int, Schema] = {}

    def schema_rows(self) -> list[Row]:
        """Return the row of the present schema, if the log lacks it; it then counts as written."""
        schema = self.layout.schema
        if schema.fingerprint in self._known:
            return []
        self._known[schema.fingerprint] = schema
        return [(_schema_key(schema), schema.pack())]

    def take_schemas(self, rows: Iterable[tuple[bytes, bytes | None]]) -> dict[bytes, bytes | None]:
        """Take in the schemas among changelog rows and return the last value of every other key.

        Raises
        ------
        CorruptStateError
            When a schema's row is none, or one of a newer release.
        """
        latest = dict(rows)
        for key in [key for key in latest if key.startswith(SCHEMA_ROWS)]:
            description = latest.pop(key)
            if description is not None:
                self._take_schema(key, description)
        return latest

    def _take_schema(self, key: bytes, value: bytes) -> None:
        with blame(key):
            schema = Schema.unpack(value)
            self.layout.check(schema)
            if key != _schema_key(schema):
                raise CorruptStateError("describes another schema than its key says")
        self._known[schema.fingerprint] = schema

    def encode(self, rows: Rows) -> list[bytes]:
        """Return (n,) rows as bytes, one value each."""
        stored = np.empty(rows.size, self._stored)
        stored["version"] = self.layout.schema.version
        stored["schema"] = self.layout.schema.fingerprint
        stored["row"] = rows
        blob, step = stored.tobytes(), self._stored.itemsize
        return [blob[at : at + step] for at in range(0, len(blob), step)]

    def decode(self, keys: Sequence[bytes], values: Sequence[bytes]) -> Rows:
        """Return n values as rows of the layout; the keys are for errors.

        Raises
        ------
        CorruptStateError
            When a value is no row of a schema that the log has named before; the message names its key.
        """
        step = self._stored.itemsize
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        if (lengths == step).all():
            stored = np.frombuffer(b"".join(values), self._stored)
            schema = self.layout.schema
            if ((stored["schema"] == schema.fingerprint) & (stored["version"] == schema.version)).all():
                return stored["row"]
        return self._decode_mixed(keys, values, lengths)

    def _decode_mixed(
        self, keys: Sequence[bytes], values: Sequence[bytes], lengths: npt.NDArray[np.int64]
    ) -> Rows:
        head = _HEADER.itemsize
        for at in np.flatnonzero(lengths < head).tolist():
            raise CorruptStateError(f"row {keys[at]!r} has {lengths[at]} bytes only", keys[at])
        headers = np.frombuffer(b"".join([value[:head] for value in values]), _HEADER)
        found = np.empty(len(values), self.layout.schema.dtype)
        _, kind = np.unique(headers, return_inverse=True)
        for number in range(int(kind.max()) + 1):
            places = np.flatnonzero(kind == number).tolist()
            found[places] = self._decode_alike([keys[at] for at in places], [values[at] for at in places])
        return found

    def _decode_alike(self, keys: Sequence[bytes], values: Sequence[bytes]) -> Rows:
        """Decode rows with one and the same header."""
        schema = self._schema_of(keys[0], values[0])
        stored = np.dtype([*_fields(_HEADER), ("row", schema.dtype)])
        for key, value in zip(keys, values, strict=True):
            if len(value) != stored.itemsize:
                raise CorruptStateError(
                    f"row {key!r} has {len(value)} bytes, expected {stored.itemsize}", key
                )
        rows = np.frombuffer(b"".join(values), stored)["row"]
        if schema is self.layout.schema:
            return rows
        try:
            return self.layout.convert(rows, schema)
        except CorruptStateError as error:
            self._blame(keys, rows, schema)
            raise CorruptStateError(f"rows {keys[0]!r} and others: {error}", keys[0]) from error

    def _schema_of(self, key: bytes, value: bytes) -> Schema:
        header: Any = np.frombuffer(value[: _HEADER.itemsize], _HEADER)[0]
        version, mark = int(header["version"]), int(header["schema"])
        present = self.layout.schema
        if mark & MARK:
            schema = present if mark == present.fingerprint else self._known.get(mark)
            if schema is None or schema.version != version:
                raise CorruptStateError(
                    f"row {key!r} is of schema {mark:08x}, version {version}, "
                    "which no row before it in the changelog describes",
                    key,
                )
            return schema
        unnamed = self.layout.unnamed
        schema = None if unnamed is None else unnamed(version, mark)
        if schema is None:
            raise CorruptStateError(
                f"row {key!r} claims version {version} and {mark} bytes, as no release has written", key
            )
        return schema

    def _blame(self, keys: Sequence[bytes], rows: Rows, schema: Schema) -> None:
        """Find the first row that cannot be converted, by its key."""
        for at, key in enumerate(keys):
            with blame(key):
                self.layout.convert(rows[at : at + 1], schema)


def _fields(dtype: np.dtype[np.void]) -> list[tuple[str, Any]]:
    return [(name, dtype[name]) for name in dtype.names or ()]


def _schema_key(schema: Schema) -> bytes:
    return SCHEMA_ROWS + f"{schema.fingerprint:08x}".encode()
