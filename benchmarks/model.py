"""A stated model of a million events a second: what one machine measured, multiplied by what is assumed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from benchmarks.throughput import BROADCAST

Figures = Mapping[str, Any]
_GIB: Final = 2**30
_OWN_TOPICS: Final = 4
"""Written for every partition that a worker holds: changelogs of users and items, lists, neighbours."""
_TRANSACTION: Final = 8
"""Requests of a transaction whatever its size, and its records for trainer and ranker."""


@dataclass(frozen=True)
class Assumed:
    """What no measurement of one machine tells.

    Parameters
    ----------
    name
        Of the case.
    events
        Events a second.
    users, items
        Users who are active within the horizon, and items.
    item_interval
        Seconds between two publications of an item that is touched all the time.
    checkpoint
        Seconds between the transactions of a worker.
    pair_partitions
        Of the topic of pairs; None: as many as of events.
    """

    name: str
    events: float
    users: float
    items: float
    item_interval: float = 60.0
    checkpoint: float = 1.0
    pair_partitions: int | None = None


BUSY: Final = 0.6
"""Share of a core that a worker may use."""
REPLICAS: Final = 3
BROKER_BYTES: Final = 200e6
"""Bytes a second that a broker takes, copies included."""
PARTITION_EVENTS: Final = 2_500.0
"""Events a second of a partition."""

CASES: Final = (
    Assumed("10,000/s", 1e4, 1e6, 1e5),
    Assumed("100,000/s", 1e5, 1e7, 3e5),
    Assumed("1,000,000/s", 1e6, 1e8, 1e6),
    Assumed("1,000,000/s, changed", 1e6, 1e8, 1e6, item_interval=600.0, checkpoint=2.0, pair_partitions=64),
)


@dataclass(frozen=True)
class Model:
    """What it takes.

    Parameters
    ----------
    rows
        Of the broadcast, a second.
    reading
        Share of a core that every worker spends on them.
    workers
        Of one core each; None where none keeps up with the broadcast.
    partitions
        Of events.
    written
        Bytes a second that brokers take, copies included.
    broker_cores
        That brokers need, copies not counted.
    requests
        Of checkpoints, a second, all workers together; None without workers.
    user_bytes, item_bytes
        Of a worker's memory: its users, and the items that all know.
    labels
        That the trainer learns a second.
    learning
        Share of a core that it needs for them.
    """

    rows: float
    reading: float
    workers: int | None
    partitions: int
    written: float
    broker_cores: float
    requests: float | None
    user_bytes: float | None
    item_bytes: float
    labels: float
    learning: float

    @classmethod
    def of(cls, ours: Figures, memory: Figures, given: Assumed) -> "Model":
        """Multiply what was measured of Keepstream and its memory."""
        rows = given.items / given.item_interval
        reading = rows * ours["row_cost"] / 1e6
        left = BUSY - reading
        workers = ceil(given.events * event_cost(ours) / 1e6 / left) if left > 0 else None
        partitions = ceil(given.events / PARTITION_EVENTS)
        labels = 2 * given.users / (7 * 86_400)
        return cls(
            rows=rows,
            reading=reading,
            workers=workers,
            partitions=partitions,
            written=(ours["bytes_per_event"] + ours["event_bytes"]) * given.events * REPLICAS,
            broker_cores=given.events * ours["broker"] / 1e6,
            requests=workers and _requests(workers, partitions, given),
            user_bytes=workers and given.users * memory["user"] / workers,
            item_bytes=given.items * memory["item, broadcast"],
            labels=labels,
            learning=labels * memory["label"] / 1e6,
        )


def event_cost(ours: Figures) -> float:
    """Return microseconds of CPU of an event, without the broadcast."""
    return float(sum(spent for name, spent in ours["stages"].items() if name != BROADCAST))


def _requests(workers: int, partitions: int, given: Assumed) -> float:
    """Return produce requests a second: the pairs of a user's items lie in any partition of theirs."""
    pairs = given.pair_partitions or partitions
    return (_OWN_TOPICS * partitions + workers * (pairs + _TRANSACTION)) / given.checkpoint


def model_table(ours: Figures, memory: Figures) -> list[str]:
    """Return the model as a table, a column for each case."""
    columns = [(given, Model.of(ours, memory, given)) for given in CASES]
    rows: tuple[tuple[str, Callable[[Assumed, Model], str]], ...] = (
        ("users, assumed", lambda given, _: f"{given.users:,.0f}"),
        ("items, assumed", lambda given, _: f"{given.items:,.0f}"),
        ("seconds between publications of an item", lambda given, _: f"{given.item_interval:.0f}"),
        ("seconds between checkpoints", lambda given, _: f"{given.checkpoint:.0f}"),
        ("partitions of events", lambda _, found: f"{found.partitions:,}"),
        (
            "partitions of pairs",
            lambda given, found: f"{given.pair_partitions or found.partitions:,}",
        ),
        ("rows of the broadcast a second", lambda _, found: f"{found.rows:,.0f}"),
        ("the broadcast, of every worker's core", lambda _, found: f"{100 * found.reading:.0f} %"),
        (
            "**workers** of one core",
            lambda _, found: f"**{found.workers:,}**" if found.workers else "-",
        ),
        ("memory of a worker: users", lambda _, found: _gib(found.user_bytes)),
        ("memory of a worker: items", lambda _, found: _gib(found.item_bytes)),
        (f"written, {REPLICAS} copies", lambda _, found: f"{found.written / 1e6:,.0f} MB/s"),
        (
            f"brokers of {BROKER_BYTES / 1e6:.0f} MB/s",
            lambda _, found: f"{max(REPLICAS, ceil(found.written / BROKER_BYTES)):,}",
        ),
        ("cores of the brokers, without copies", lambda _, found: f"{found.broker_cores:,.1f}"),
        (
            "requests of checkpoints a second",
            lambda _, found: f"{found.requests:,.0f}" if found.requests else "-",
        ),
        ("labels a second", lambda _, found: f"{found.labels:,.0f}"),
        ("the trainer, of its core", lambda _, found: f"{100 * found.learning:.1f} %"),
    )
    return [
        (
            f"Measured: {event_cost(ours):.0f} µs of CPU an event without the broadcast, "
            f"{ours['row_cost']:.0f} µs a row of the broadcast, {ours['broker']:.0f} µs of CPU of the broker "
            f"an event, {ours['bytes_per_event'] + ours['event_bytes']:.0f} bytes an event, "
            f"{memory['user']:,.0f} bytes a user, {memory['item, broadcast']:,.0f} an item, "
            f"{memory['label']:.0f} µs a label."
        ),
        "",
        "| | " + " | ".join(given.name for given, _ in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *(f"| {what} | " + " | ".join(told(*one) for one in columns) + " |" for what, told in rows),
    ]


def _gib(size: float | None) -> str:
    return f"{size / _GIB:.1f} GiB" if size else "-"
