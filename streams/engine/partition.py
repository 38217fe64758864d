"""One source partition on this worker: its handler, its position and what waits for the next transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.engine.handler import Handler, Output, Record


class TopicPartition(NamedTuple):
    """A topic and one of its partitions."""

    topic: str
    partition: int

    def __str__(self) -> str:
        """Return ``topic[partition]``."""
        return f"{self.topic}[{self.partition}]"


class RecordBatch(NamedTuple):
    """Consecutive records of one partition from one fetch: the value of one Faust stream event.

    Parameters
    ----------
    partition
        The partition it was fetched for.
    life
        The partition's life at the time of the fetch; a batch of an earlier life is void.
    start, end
        Position before its first and behind its last record (offsets; control records may lie between).
    records
        The records, in log order.
    """

    partition: "Partition"
    life: int
    start: int
    end: int
    records: Sequence[Record]

    @property
    def current(self) -> bool:
        """Whether the partition still reads on from where this batch was fetched."""
        return not self.partition.dropped and self.life == self.partition.life


@dataclass(eq=False)
class Partition:
    """State, position and pending work of one source partition.

    Parameters
    ----------
    source
        The partition of the source topic.
    changelog
        Topic that holds its state rows and its position, in the partition of the same number.
    handler
        Its logic and state.
    suspect
        Offsets (first, end) in which applying raised: replayed record by record after the restore.
    poisoned
        Offset of the record that raised alone; passed over through `Handler.poison`.
    """

    source: TopicPartition
    changelog: str
    handler: Handler
    suspect: tuple[int, int] | None = None
    poisoned: dict[int, BaseException] = field(default_factory=dict)

    position: int = 0
    """Where the state stands: the offset behind the last applied record."""
    opened: bool = False
    dropped: bool = False
    life: int = 0
    fetch_next: int = 0
    """Where the next fetch must start."""
    issued_end: int = 0
    """Where the last batch handed to the stream ended."""
    log_end: int = 0
    """Where the log ends, as far as anybody has told: a fetch may have waited here for minutes."""
    caught_up: bool = False
    """Whether the last fetch reached the end of the log."""
    moved: bool = False
    outputs: list[Output] = field(default_factory=list)
    output_bytes: int = 0
    pending_records: int = 0

    def open(self, position: int) -> None:
        """Begin to read at `position`: the state is restored up to there."""
        self.position = position
        self.rewind()
        self.opened = True

    def drop(self) -> None:
        """End this partition's life here: nothing of it will be committed any more."""
        self.dropped = True
        self.opened = False

    def rewind(self) -> None:
        """Read on from the position of the state; whatever is still under way is void."""
        self.life += 1
        self.fetch_next = self.issued_end = self.position
        self.caught_up = False

    def fetched(self, records: Sequence[Record], end: int, *, caught_up: bool) -> RecordBatch | None:
        """Note where a fetch ended and return the batch for the stream, None where it held no records."""
        self.fetch_next = end
        self.caught_up = caught_up
        if not records:
            if self.issued_end == self.position:
                # Only aborted or control records lie between: the state stands behind them as well.
                self.position = self.issued_end = end
            return None
        batch = RecordBatch(self, self.life, self.issued_end, end, records)
        self.issued_end = end
        return batch

    def pieces(self, batch: RecordBatch) -> Iterator[tuple[Sequence[Record], int]]:
        """Cut a batch into (records, position behind them): whole, or one by one while under suspicion."""
        if self.suspect is None or batch.start >= self.suspect[1]:
            self.suspect = None
            yield batch.records, batch.end
            return
        for index, record in enumerate(batch.records):
            last = index == len(batch.records) - 1
            yield [record], batch.end if last else record.offset + 1

    def applied(self, records: int, outputs: Sequence[Output], position: int) -> None:
        """Take in what applying records brought about."""
        self.position = position
        self.moved = True
        self.pending_records += records
        self.add_outputs(outputs)

    def add_outputs(self, outputs: Sequence[Output]) -> None:
        """Queue outputs for the next transaction."""
        self.outputs.extend(outputs)
        self.output_bytes += sum(len(o.value or b"") + len(o.key or b"") for o in outputs)

    def take_outputs(self) -> list[Output]:
        """Hand over the queued outputs and count the partition as committed so far."""
        outputs, self.outputs = self.outputs, []
        self.output_bytes = self.pending_records = 0
        self.moved = False
        return outputs
