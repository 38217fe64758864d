"""Judging the events of a file as the worker would, without Kafka: one partition, in file order."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from online_models.admission import Admission
from online_models.clock import PartitionClock
from online_models.events import EVENT_NAMES, EventBatch, Reject, RejectReason
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.reject_reasons import ADVICE

_CHUNK: Final = 2_000
_TICK_MS: Final = 3_600_000
_EXCERPT: Final = 200


@dataclass(frozen=True, slots=True)
class Example:
    """A rejected line: its number from 1, what is wrong with it, and how it begins."""

    line: int
    message: str
    excerpt: str


@dataclass(slots=True)
class Findings:
    """What a file holds.

    Parameters
    ----------
    lines, blank
        Lines read, and how many of them were blank and passed over.
    accepted, duplicates
        Events that would be applied, and repeated ones that would be dropped.
    event_counts
        Accepted events by position in `EVENT_NAMES`.
    first_ms, last_ms
        Smallest and largest accepted event time; None without events.
    rejected
        Number of rejects by reason.
    examples
        The first rejects of each reason.
    """

    lines: int = 0
    blank: int = 0
    accepted: int = 0
    duplicates: int = 0
    event_counts: np.ndarray[tuple[int], np.dtype[np.int64]] = field(
        default_factory=lambda: np.zeros(len(EVENT_NAMES), np.int64)
    )
    first_ms: int | None = None
    last_ms: int | None = None
    rejected: dict[RejectReason, int] = field(default_factory=dict)
    examples: dict[RejectReason, list[Example]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether there are events and none is rejected."""
        return not self.rejected and self.accepted > 0

    def as_json(self) -> dict[str, Any]:
        """Return the findings as plain values, reasons by falling number."""
        ordered = sorted(self.rejected.items(), key=lambda entry: -entry[1])
        return {
            "verdict": "PASS" if self.passed else "FAIL",
            "lines": self.lines,
            "blank": self.blank,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": sum(self.rejected.values()),
            "first_event": self.first_ms,
            "last_event": self.last_ms,
            "event_counts": {
                name: count
                for name, count in zip(EVENT_NAMES, self.event_counts.tolist(), strict=True)
                if count
            },
            "reasons": {
                reason: {
                    "count": count,
                    **ADVICE[reason]._asdict(),
                    "examples": [
                        {"line": one.line, "message": one.message, "excerpt": one.excerpt}
                        for one in self.examples[reason]
                    ],
                }
                for reason, count in ordered
            },
        }


class Validator:
    """Judges lines of JSON as one partition would, and keeps count.

    Parameters
    ----------
    decoder
        Reads the events.
    admission
        Knows duplicates and late events; fresh.
    now_ms
        Timestamp that the records would get, epoch milliseconds.
    examples
        Rejects of each reason to keep.

    Examples
    --------
    >>> validator = Validator(
    ...     Decoder(), Admission(allowed_lateness_ms=0, dedupe_window_ms=0), now_ms=-1, examples=1
    ... )
    >>> validator.add([b"not an event"])
    >>> validator.findings.rejected
    {'not_json': 1}
    """

    def __init__(self, decoder: Decoder, admission: Admission, *, now_ms: int, examples: int) -> None:
        self.findings = Findings()
        self._decoder = decoder
        self._admission = admission
        self._clock = PartitionClock(_TICK_MS)
        self._now_ms = now_ms
        self._examples = examples

    def add(self, lines: Iterable[bytes]) -> None:
        """Judge the next lines of the file."""
        records: list[Record] = []
        for line in lines:
            self.findings.lines += 1
            raw = line.strip()
            if not raw:
                self.findings.blank += 1
                continue
            records.append(Record(self.findings.lines, self._now_ms, None, raw))
            if len(records) >= _CHUNK:
                self._judge(records)
                records = []
        self._judge(records)

    def _judge(self, records: list[Record]) -> None:
        decoded = self._decoder.decode(records)
        rejects = list(decoded.rejects)
        events = decoded.events
        for start, stop, tick_ms in self._clock.split(events.time, self._admission.next_due):
            if tick_ms is not None:
                self._admission.tick(tick_ms)
                continue
            admitted = self._admission.admit(events.event_id[start:stop], events.time[start:stop])
            self.findings.duplicates += len(admitted.duplicates)
            self._count(events.take(start + admitted.accepted))
            rejects += [(int(decoded.index[start + row]), reject) for row, reject in admitted.rejects]
        for place, reject in sorted(rejects, key=lambda entry: entry[0]):
            self._note(records[place], reject)

    def _count(self, events: EventBatch) -> None:
        if not len(events):
            return
        found = self.findings
        found.accepted += len(events)
        found.event_counts += np.bincount(events.kind, minlength=len(EVENT_NAMES))
        first, last = int(events.time.min()), int(events.time.max())
        found.first_ms = first if found.first_ms is None else min(first, found.first_ms)
        found.last_ms = last if found.last_ms is None else max(last, found.last_ms)

    def _note(self, record: Record, reject: Reject) -> None:
        found = self.findings
        found.rejected[reject.reason] = found.rejected.get(reject.reason, 0) + 1
        kept = found.examples.setdefault(reject.reason, [])
        if len(kept) < self._examples:
            kept.append(Example(record.offset, reject.message, _excerpt(record.value or b"")))


def _excerpt(raw: bytes) -> str:
    """Return how a line begins, without anything that a terminal might obey."""
    text = raw[: 4 * _EXCERPT].decode(errors="replace")
    shown = "".join(char if char.isprintable() else "·" for char in text[:_EXCERPT])
    return shown + "…" if len(text) > _EXCERPT else shown
