"""Versioned plain numbers and strings as bytes: the one format of snapshots and of columnar records.

MessagePack with numpy columns as an extension type; loading executes nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from online_models.errors import CorruptStateError

Upgrades = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]
"""By version: what makes content of the next version of it. Pure functions, kept for ever."""

_COLUMN: Final = 1
_PLAIN_KINDS: Final = "biuf"


def _encode(value: object) -> msgspec.msgpack.Ext:
    if isinstance(value, np.ndarray) and value.dtype.kind in _PLAIN_KINDS:
        header = [value.dtype.newbyteorder("<").str, list(value.shape)]
        plain = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        return msgspec.msgpack.Ext(_COLUMN, msgspec.msgpack.encode([*header, plain.tobytes()]))
    raise TypeError(f"a snapshot holds plain numbers, strings and columns of numbers, got {type(value)}")


def _decode(code: int, data: memoryview) -> npt.NDArray[Any]:
    if code != _COLUMN:
        raise ValueError(f"unknown extension {code}")
    dtype, shape, raw = msgspec.msgpack.decode(data, type=tuple[str, tuple[int, ...], bytes])
    if np.dtype(dtype).kind not in _PLAIN_KINDS:
        raise ValueError(f"a column of type {dtype}")
    return np.frombuffer(raw, dtype).reshape(shape)


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_encode)
_DECODER: Final = msgspec.msgpack.Decoder(ext_hook=_decode)


def pack(kind: str, version: int, content: Mapping[str, Any]) -> bytes:
    """Return plain content as bytes that name their kind and version.

    Parameters
    ----------
    kind
        What the content is, such as ``"churn-model"``.
    version
        Version of the content's meaning.
    content
        Numbers, strings, lists and mappings of these, and numpy columns of numbers.

    Raises
    ------
    TypeError
        When the content holds anything else.

    Examples
    --------
    >>> unpack("point", 1, pack("point", 1, {"x": 1.5, "y": [1, 2]}))
    {'x': 1.5, 'y': [1, 2]}
    """
    return _ENCODER.encode([kind, version, content])


def unpack(kind: str, version: int, data: bytes, upgrades: Upgrades | None = None) -> dict[str, Any]:
    """Return what `pack` was given; columns come back read-only.

    Parameters
    ----------
    kind, version
        What is expected.
    data
        The bytes.
    upgrades
        What makes content of an older version one of the next version, by the older version.

    Raises
    ------
    CorruptStateError
        When the bytes are something else, of a newer version, or of an older one that cannot be upgraded.

    Examples
    --------
    >>> old = pack("point", 1, {"x": 1.5})
    >>> unpack("point", 2, old, {1: lambda content: {**content, "y": 0.0}})
    {'x': 1.5, 'y': 0.0}
    """
    try:
        found = _DECODER.decode(data)
    except (msgspec.DecodeError, TypeError, ValueError, RecursionError) as error:
        raise CorruptStateError(f"{kind} cannot be decoded: {error}") from error
    match found:
        case [str() as found_kind, int() as found_version, dict() as content]:
            if found_kind == kind:
                return _upgraded(kind, found_version, version, content, upgrades or {})
            raise CorruptStateError(
                f"expected {kind} version {version}, found {found_kind} version {found_version}"
            )
    raise CorruptStateError(f"{kind} is not a list of kind, version and content")


def kind_of(data: bytes) -> str | None:
    """Return the kind that `pack` was given, without reading the content; None where there is none.

    >>> kind_of(pack("point", 1, {"x": 1.5})), kind_of(b"else")
    ('point', None)
    """
    try:
        kind, _, _ = msgspec.msgpack.decode(data, type=tuple[str, int, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return kind


@contextmanager
def reading(kind: str) -> Iterator[None]:
    """Turn what goes wrong while plain content is taken apart into an error that says what it was.

    Raises
    ------
    CorruptStateError
        When a part is missing or of another type.

    Examples
    --------
    >>> with reading("point"):
    ...     {"x": 1}["y"]
    Traceback (most recent call last):
        ...
    online_models.errors.CorruptStateError: point is not what it should be: KeyError('y')
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CorruptStateError(f"{kind} is not what it should be: {error!r}") from error


def _upgraded(
    kind: str, version: int, wanted: int, content: dict[str, Any], upgrades: Upgrades
) -> dict[str, Any]:
    if version > wanted:
        raise CorruptStateError(
            f"{kind} is of a newer release: version {version}, this one reads up to version {wanted}"
        )
    for step in range(version, wanted):
        if step not in upgrades:
            raise CorruptStateError(f"expected {kind} version {wanted}, found {kind} version {version}")
        with reading(kind):
            content = upgrades[step](content)
    return content
