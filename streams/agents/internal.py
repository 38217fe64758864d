"""Records that workers write for one another: nobody's bad input, so one that is damaged ends the worker."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from online_models.errors import CorruptStateError
from streams.engine.handler import Record

T = TypeVar("T")


def unpack_all(records: Sequence[Record], unpack: Callable[[bytes], T]) -> list[T]:
    """Return the content of records.

    Raises
    ------
    CorruptStateError
        When one cannot be unpacked; it names its offset.
    """
    found = []
    for record in records:
        try:
            found.append(unpack(record.value or b""))
        except CorruptStateError as error:
            raise CorruptStateError(f"record at offset {record.offset}: {error}") from error
    return found
