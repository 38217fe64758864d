"""The contract between the engine and the logic of one partition."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """One consumed record.

    Parameters
    ----------
    offset
        Offset in its partition.
    timestamp
        Broker timestamp, epoch milliseconds (create time as the producer set it).
    key, value
        Raw bytes; None where the producer sent none.
    headers
        Pairs of name and bytes.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Output(NamedTuple):
    """One record to be produced in the next transaction.

    Parameters
    ----------
    topic
        Full topic name.
    partition
        Target partition; None leaves it to the producer's murmur2 partitioner.
    key, value
        Raw bytes; a None value is a tombstone.
    headers
        Pairs of name and bytes.
    """

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


Row = tuple[bytes, bytes | None]
"""A changelog row: key and value; a None value deletes the row."""


class Handler(Protocol):
    """The logic and state of one source partition; pure bookkeeping, no I/O, never called concurrently.

    The engine calls `restore` any number of times (chunks of rows in log order, later rows of a key replace
    earlier ones), then `restored` once, then `apply`, `tick` and `idle`. After each checkpoint interval it
    takes `dirty_rows`, and commits them together with the outputs and the position in one transaction. If
    `apply` or `tick` raises, the handler is thrown away and a fresh one is restored from the last checkpoint.
    """

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load changelog rows, each replacing what was known under its key; None removes it."""

    def restored(self) -> None:
        """Finish loading: called once, before the first `apply`."""

    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        """Apply consecutive records of the partition and return what to produce, in order."""

    def tick(self, now_ms: int) -> Sequence[Output]:
        """Advance the partition's clock to `now_ms` (live clock only) and return what to produce."""

    def idle(self, now_ms: int) -> Sequence[Output]:
        """Return what was held back for a time that is now over, where the log has been read to its end.

        Called about once a second with the wall clock, whatever the clock of the partition.
        """

    def dirty_rows(self) -> Sequence[Row]:
        """Return the rows changed since the last call, encoded, and count them as clean."""

    def poison(self, record: Record, error: BaseException) -> Sequence[Output]:
        """Return the dead letter of a record on which `apply` raised; the record is then passed over."""
