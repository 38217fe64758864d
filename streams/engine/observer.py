"""What the engine tells the outside; every method does nothing unless overridden."""

from streams.engine.partition import TopicPartition


class Observer:
    """Receives the engine's measurements; durations in seconds."""

    def applied(self, agent: str, records: int, seconds: float) -> None:
        """Handle a batch applied."""

    def committed(self, seconds: float, partitions: int, rows: int, outputs: int, size: int) -> None:
        """Handle a transaction committed; `size` in bytes of values."""

    def aborted(self, reason: str) -> None:
        """Handle a transaction aborted, to be tried again."""

    def fenced(self, reason: str) -> None:
        """Handle a refused commit: the group or another producer has taken over."""

    def restoring(self, source: TopicPartition, rows: int, offset: int, end: int) -> None:
        """Handle progress of a restore."""

    def restored(self, source: TopicPartition, rows: int, seconds: float) -> None:
        """Handle a partition opened."""

    def dropped(self, source: TopicPartition) -> None:
        """Handle a partition given up."""

    def rewound(self, source: TopicPartition) -> None:
        """Handle a batch that did not continue the last applied one."""

    def failed(self, agent: str) -> None:
        """Handle an exception raised by a handler."""

    def poisoned(self, agent: str) -> None:
        """Handle a record passed over because applying it alone raised."""

    def gap_accepted(self, source: TopicPartition, records: int) -> None:
        """Handle a lost stretch of the log that the operator chose to pass over."""

    def lag(self, source: TopicPartition, records: int) -> None:
        """Handle how many records of the log are still to be fetched."""
