"""How the rows of a table are laid out, and how rows of another layout become such rows: by names of fields.

A release that adds a field, or a setting that changes how long one is, needs nothing but the new layout. What
a name cannot tell (the same field with another meaning, slots that must be sorted anew) is in pure functions.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from online_models import snapshots
from online_models.errors import CorruptStateError, InvalidParameterError

Rows = npt.NDArray[Any]
Labels = Mapping[str, tuple[tuple[str, ...] | None, ...]]
"""By field: for every axis what its entries are called, None where they only have a place."""

MARK: Final = 1 << 31
"""Set in every fingerprint, so that none is mistaken for the size that rows of format 1 bear in its place."""

_SCHEMA_VERSION: Final = 1
_PLAIN_KINDS: Final = "biuf"


@dataclass(frozen=True, eq=False)
class Schema:
    """What the bytes of a row are.

    Parameters
    ----------
    dtype
        Fields of a row; fixed-size numbers only.
    version
        Version of the fields' meaning, 0 to 65535.
    labels
        Names of the entries of array fields.
    units
        Settings that give the numbers their meaning, such as half-lives.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.
    """

    dtype: np.dtype[np.void]
    version: int = 1
    labels: Labels = field(default_factory=dict)
    units: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.dtype.names
        if names is None or any(self.dtype[name].base.kind not in _PLAIN_KINDS for name in names):
            raise InvalidParameterError(f"dtype must have fields of fixed-size numbers, got {self.dtype}")
        if not 0 <= self.version < 65_536:
            raise InvalidParameterError(f"version must be 0 to 65535, got {self.version}")
        for name, axes in self.labels.items():
            lengths = [
                length if axis is None else len(axis)
                for axis, length in zip(axes, self.shape(name), strict=True)
            ]
            if tuple(lengths) != self.shape(name):
                raise InvalidParameterError(
                    f"labels of {name} must fit its shape {self.shape(name)}, got {lengths}"
                )

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a field within one row."""
        return self.dtype[name].shape

    def axes(self, name: str) -> tuple[tuple[str, ...] | None, ...]:
        """Return the labels of a field's axes."""
        return self.labels.get(name, (None,) * len(self.shape(name)))

    @cached_property
    def fingerprint(self) -> int:
        """What rows bear to say that they are of this schema."""
        digest = hashlib.blake2b(self.pack(), digest_size=4).digest()
        return int.from_bytes(digest, "little") | MARK

    def pack(self) -> bytes:
        """Return the schema as bytes, the same for the same schema."""
        names = self.dtype.names or ()
        fields = [
            [name, self.dtype[name].base.str, list(self.shape(name)), list(self.axes(name))] for name in names
        ]
        content = {"version": self.version, "fields": fields, "units": dict(sorted(self.units.items()))}
        return snapshots.pack("schema", _SCHEMA_VERSION, content)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the schema that `pack` wrote.

        Raises
        ------
        CorruptStateError
            When the bytes are something else.
        """
        content = snapshots.unpack("schema", _SCHEMA_VERSION, data)
        with snapshots.reading("schema"):
            fields, labels = [], {}
            for name, kind, shape, axes in content["fields"]:
                fields.append((name, np.dtype(kind), tuple(shape)))
                labels[name] = tuple(None if axis is None else tuple(axis) for axis in axes)
            return cls(np.dtype(fields), content["version"], labels, content["units"])


Upgrade = Callable[[Rows], Rows]
Fit = Callable[[Rows, Rows, Schema], None]


@dataclass(frozen=True, eq=False)
class Layout:
    """The schema of a table's rows, and what turns rows of earlier schemas into such rows.

    Entries of array fields are carried over by their labels; those without labels by their place, cut or
    filled with zeros at the end, so what matters most should come first.

    Parameters
    ----------
    schema
        The present schema.
    defaults
        What new fields hold in rows that lack them; zero unless named here.
    dropped
        Fields that earlier releases had. Any other unknown field is a newer release's.
    exact
        Fields no entry of which may be lost: an unknown label is a newer release's.
    upgrades
        By version: what makes rows of it rows of the next version. Pure, from structured array to structured
        array, kept for ever.
    fit
        Corrects carried-over rows where names are not enough: called with the old rows, the new ones (to be
        changed in place) and the old schema.
    unnamed
        Returns the schema of rows of format 1, which bear version and size only; None where no release wrote
        such.

    Examples
    --------
    >>> old = Schema(np.dtype([("count", "<i4"), ("ring", "<u2", (2,))]))
    >>> new = Schema(np.dtype([("ring", "<u2", (3,)), ("price", "<f4"), ("count", "<i8")]))
    >>> rows = Layout(new, {"price": -1}).convert(np.array([(7, (2, 1))], old.dtype), old)
    >>> rows["ring"].tolist(), rows["price"].tolist(), rows["count"].tolist()
    ([[2, 1, 0]], [-1.0], [7])
    """

    schema: Schema
    defaults: Mapping[str, float] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    exact: frozenset[str] = frozenset()
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict)
    fit: Fit | None = None
    unnamed: Callable[[int, int], Schema | None] | None = None

    def check(self, source: Schema) -> None:
        """Check that rows of a schema can become rows of this layout.

        Raises
        ------
        CorruptStateError
            When they are of a newer release, or too old; the message says which.
        """
        if source.version > self.schema.version:
            raise CorruptStateError(
                f"written by a newer release: rows of version {source.version}, "
                f"this one reads up to version {self.schema.version}"
            )
        for version in range(source.version, self.schema.version):
            if version not in self.upgrades:
                raise CorruptStateError(
                    f"rows of version {version} cannot be read, only of version {self.schema.version}"
                )
        if source.version == self.schema.version:
            self._check_names(source)

    def convert(self, rows: Rows, source: Schema) -> Rows:
        """Return (n,) rows of a schema that was checked as rows of this layout.

        Raises
        ------
        CorruptStateError
            When a number does not fit its field.
        """
        for version in range(source.version, self.schema.version):
            rows = self.upgrades[version](rows)
        fresh = np.zeros(rows.size, self.schema.dtype)
        for name in self.schema.dtype.names or ():
            if name not in (rows.dtype.names or ()):
                fresh[name] = self.defaults.get(name, 0)
            else:
                carried = carry(
                    rows[name], source.axes(name), self.schema.axes(name), self.schema.shape(name)
                )
                fresh[name] = _cast(carried, self.schema.dtype[name].base, name)
        if self.fit is not None:
            self.fit(rows, fresh, source)
        return fresh

    def _check_names(self, source: Schema) -> None:
        names = set(source.dtype.names or ()) - self.dropped
        unknown = names - set(self.schema.dtype.names or ())
        for name in sorted(names - unknown):
            if len(source.shape(name)) != len(self.schema.shape(name)):
                raise CorruptStateError(f"field {name} has shape {source.shape(name)}")
            for found, known in zip(source.axes(name), self.schema.axes(name), strict=True):
                if name in self.exact and known is not None:
                    unknown |= set(found or ()) - set(known) - self.dropped
        if unknown:
            raise CorruptStateError(
                f"written by a newer release: this one knows nothing of {', '.join(sorted(unknown))}"
            )


def carry(
    values: npt.NDArray[Any],
    found: Sequence[Sequence[str] | None],
    wanted: Sequence[Sequence[str] | None],
    shape: Sequence[int],
) -> npt.NDArray[Any]:
    """Return (n, *shape) the entries of (n, ...) values at their new places, zero where there are none.

    Parameters
    ----------
    values
        Array field of n rows.
    found, wanted
        Labels of its axes, and of those of the result.
    shape
        Shape of one row of the result.

    Examples
    --------
    >>> carry(np.array([[1, 2]]), [("a", "b")], [("b", "c", "a")], (3,)).tolist()
    [[2, 0, 1]]
    """
    for axis, (old, new, length) in enumerate(zip(found, wanted, shape, strict=True), start=1):
        if old is not None and new is not None:
            place = {label: at for at, label in enumerate(old)}
            source = np.array([place.get(label, -1) for label in new], np.int64)
        else:
            source = np.arange(length)
            source[values.shape[axis] :] = -1
        if not np.array_equal(source, np.arange(values.shape[axis])):
            taken = np.take(values, np.maximum(source, 0), axis) if values.shape[axis] else values
            empty = (slice(None),) * axis + (np.flatnonzero(source < 0),)
            taken[empty] = 0
            values = taken
    return values


def _cast(values: npt.NDArray[Any], dtype: np.dtype[Any], name: str) -> npt.NDArray[Any]:
    """Return values as another type of number; only the digits of a fraction may be lost."""
    if np.can_cast(values.dtype, dtype) or (values.dtype.kind == dtype.kind == "f"):
        return values.astype(dtype)
    with np.errstate(invalid="ignore"):
        cast = values.astype(dtype)
        same = (cast.astype(values.dtype) == values) & ((cast < 0) == (values < 0))
    if not same.all():
        raise CorruptStateError(f"field {name}: {values[~same].flat[0]} does not fit {dtype}")
    return cast
