"""The exception tree of Keepstream; bad input is a value (`Reject`), exceptions mean bugs and outages.

KeepstreamError
├── InvalidParameterError      a constructor argument outside its range
├── CorruptStateError          a state row or snapshot that cannot be loaded
└── (streams.errors adds the errors of settings, topics, brokers and the engine)
"""

from collections.abc import Iterator
from contextlib import contextmanager


class KeepstreamError(Exception):
    """Base of every error that Keepstream raises on purpose."""


class InvalidParameterError(KeepstreamError, ValueError):
    """A constructor argument is outside its range; the message names it and the value it got."""


class CorruptStateError(KeepstreamError):
    """A state row or a model snapshot cannot be loaded; the message names which and why.

    Parameters
    ----------
    message
        What is wrong.
    key
        Key of the row, as it is in the log, where there is one: readers of the log find its offset by it.
    """

    def __init__(self, message: str, key: bytes | None = None) -> None:
        super().__init__(message)
        self.key = key


@contextmanager
def blame(key: bytes) -> Iterator[None]:
    """Let a row that cannot be loaded be known by its key.

    Examples
    --------
    >>> with blame(b"ann"):
    ...     raise CorruptStateError("too short")
    Traceback (most recent call last):
        ...
    online_models.errors.CorruptStateError: row b'ann': too short
    """
    try:
        yield
    except CorruptStateError as error:
        raise CorruptStateError(f"row {key!r}: {error}", key) from error
