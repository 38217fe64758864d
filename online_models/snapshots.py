"""Versioned plain numbers and strings as bytes: the one format of snapshots and of columnar records.

MessagePack with numpy columns as an extension type; loading executes nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from online_models.errors import CorruptStateError

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


def unpack(kind: str, version: int, data: bytes) -> dict[str, Any]:
    """Return what `pack` was given; columns come back read-only.

    Raises
    ------
    CorruptStateError
        When the bytes are something else, or another version.
    """
    try:
        found = _DECODER.decode(data)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise CorruptStateError(f"{kind} cannot be decoded: {error}") from error
    match found:
        case [str() as found_kind, int() as found_version, dict() as content]:
            if (found_kind, found_version) != (kind, version):
                raise CorruptStateError(
                    f"expected {kind} version {version}, found {found_kind} version {found_version}"
                )
            return content
    raise CorruptStateError(f"{kind} is not a list of kind, version and content")
