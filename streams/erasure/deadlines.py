"""When a record is gone from a topic at the latest, by the configuration that the broker really has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

_NO_END: Final = 2**60
"""Kafka's way to say never is the largest 64-bit number."""

_DEFAULT_SEGMENT_MS: Final = 7 * 86_400_000


@dataclass(frozen=True)
class Limits:
    """What bounds the life of records in a topic; durations in milliseconds, None where nothing does.

    Parameters
    ----------
    retention_ms
        Age at which records are deleted.
    compaction_ms
        Age at which a replaced record is compacted away; None too where the broker never compacts.
    segment_ms
        Age at which a segment is closed: records leave with the last one of their segment.
    delete_retention_ms
        How long a tombstone stays after its first compaction.

    Examples
    --------
    >>> configs = {"cleanup.policy": "delete", "retention.ms": "1000", "segment.ms": "10"}
    >>> kept = Limits.of(configs, cleaner=True)
    >>> kept.gone_by(5), kept.replaced_by(5)
    (1015, 1015)
    """

    retention_ms: int | None
    compaction_ms: int | None
    segment_ms: int
    delete_retention_ms: int

    @classmethod
    def of(cls, configs: Mapping[str, str], *, cleaner: bool) -> Self:
        """Return the limits of a topic.

        Parameters
        ----------
        configs
            Its configuration as the broker reports it.
        cleaner
            Whether the broker compacts at all.
        """
        policies = configs.get("cleanup.policy", "delete").split(",")
        retention = int(configs.get("retention.ms", "-1"))
        lag = int(configs.get("max.compaction.lag.ms", _NO_END))
        return cls(
            retention_ms=retention if "delete" in policies and retention >= 0 else None,
            compaction_ms=lag if "compact" in policies and cleaner and lag < _NO_END else None,
            segment_ms=int(configs.get("segment.ms", _DEFAULT_SEGMENT_MS)),
            delete_retention_ms=int(configs.get("delete.retention.ms", "86400000")),
        )

    def gone_by(self, time_ms: int) -> int | None:
        """Return when everything that was written until a time has left by retention, None for never."""
        return None if self.retention_ms is None else time_ms + self.retention_ms + self.segment_ms

    def replaced_by(self, time_ms: int) -> int | None:
        """Return when everything is gone that a record written at a time replaces or deletes."""
        return _earliest(self._compacted_by(time_ms), self.gone_by(time_ms))

    def tombstone_by(self, time_ms: int) -> int | None:
        """Return when a tombstone written at a time, and with it its key, is gone."""
        compacted = self._compacted_by(time_ms)
        if compacted is not None and self.compaction_ms is not None:
            # A later compaction removes it; one comes as long as the partition gets records.
            compacted += self.delete_retention_ms + self.compaction_ms + self.segment_ms
        return _earliest(compacted, self.gone_by(time_ms))

    def _compacted_by(self, time_ms: int) -> int | None:
        return None if self.compaction_ms is None else time_ms + self.compaction_ms + self.segment_ms


def _earliest(*times: int | None) -> int | None:
    return min((time for time in times if time is not None), default=None)
