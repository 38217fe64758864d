"""The log of a simulated shop over weeks, made awkward on purpose, and what must come of it.

Duplicates, late and too late events, events from the future, broken ones and erasures are mixed in where
their fate is certain whatever else happens.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from online_models.events import KIND, TOUCH_KINDS
from streams.sources.breakage import BREAKERS
from streams.sources.record import record_of
from streams.sources.simulator import ShopConfig, simulate

MINUTE_MS = 60_000
ITEMS = 48
"""Fewer than a row has slots, so that no partner is ever evicted."""

_FUTURE_MS = 4_070_908_800_000  # 2099
_LATEST_REPEAT = 40


class Sent(NamedTuple):
    """One record of the log; a record without a key names its partition."""

    key: bytes | None
    value: bytes
    partition: int | None


@dataclass
class Truth:
    """What must come of the log, computed without any store."""

    event_counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    touches: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    duplicates: int = 0
    erased: int = 0

    def accept(self, event: dict[str, Any]) -> None:
        self.accepted += 1
        subject = f"u:{event['user_id']}" if event.get("user_id") else f"a:{event['anonymous_id']}"
        name = event["event_name"]
        if name == "user_erased":
            self.erased += 1
            self.event_counts.pop(subject, None)
            return
        self.event_counts[subject][name if name in KIND else "other"] += 1
        if KIND.get(name) in TOUCH_KINDS:
            self.touches.update({item["item_id"] for item in event.get("items", ())})


class ShopLog:
    """The records to send, in order, and the truth about them.

    Parameters
    ----------
    count
        Records in all.
    partitions
        Of the event topic.
    seed
        Equal seeds give equal logs.
    """

    def __init__(self, count: int, partitions: int, seed: int) -> None:
        self.truth = Truth()
        self.records: list[Sent] = []
        self._partitions = partitions
        self._rng = np.random.default_rng(seed)
        self._repeats: list[tuple[int, dict[str, Any]]] = []
        # Prices stay: after a rise, the last price of an item would depend on which partition was faster.
        config = ShopConfig(
            seed=seed, users=max(120, count // 400), items=ITEMS, categories=6, brands=6, days=None,
            gap_days=3.0, price_hike_days=1_000_000,
        )  # fmt: skip
        for event in simulate(config):
            if len(self.records) >= count:
                break
            self._add(event)

    def __len__(self) -> int:
        return len(self.records)

    def _add(self, event: dict[str, Any]) -> None:
        self._accepted(event)
        while self._repeats and self._repeats[0][0] <= len(self.records):
            self._send(self._repeats.pop(0)[1])
            self.truth.duplicates += 1
        dice = self._rng.random()
        if dice < 0.03:
            self._repeats.append((len(self.records) + int(self._rng.integers(_LATEST_REPEAT)), event))
            self._repeats.sort(key=lambda repeat: repeat[0])
        elif dice < 0.04:
            self._accepted(self._earlier(event, int(self._rng.integers(1, 50))))
        elif dice < 0.045:
            self._rejected("too_late", self._earlier(event, int(self._rng.integers(120, 2_880))))
        elif dice < 0.047:
            future = {**event, "event_id": f"{event['event_id']}-future", "event_time": _FUTURE_MS}
            self._rejected("from_the_future", future)
        elif dice < 0.06:
            reason = list(BREAKERS)[int(self._rng.integers(len(BREAKERS)))]
            record = record_of(BREAKERS[reason](event))
            self._append(record.key, record.value)
            self.truth.rejected[reason] += 1
        elif dice < 0.0605 and event.get("user_id"):
            erasure = {name: event[name] for name in ("event_time", "user_id")}
            erasure |= {"event_id": f"{event['event_id']}-erase", "event_name": "user_erased"}
            self._accepted(erasure)

    def _accepted(self, event: dict[str, Any]) -> None:
        self._send(event)
        self.truth.accept(event)

    def _rejected(self, reason: str, event: dict[str, Any]) -> None:
        self._send(event)
        self.truth.rejected[reason] += 1

    def _earlier(self, event: dict[str, Any], minutes: int) -> dict[str, Any]:
        """Return an event of the same user, new to everybody, from before the one just sent."""
        time_ms = event["event_time"] - minutes * MINUTE_MS
        return {**event, "event_id": f"{event['event_id']}-late", "event_time": time_ms}

    def _send(self, event: dict[str, Any]) -> None:
        record = record_of(event)
        self._append(record.key, record.value)

    def _append(self, key: bytes | None, value: bytes) -> None:
        partition = None if key is not None else len(self.records) % self._partitions
        self.records.append(Sent(key, value, partition))
