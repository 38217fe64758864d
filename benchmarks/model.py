"""A stated model of a million events a second: what one run measured, multiplied by what is assumed."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from benchmarks.throughput import BROADCAST

Figures = Mapping[str, Any]
_GIB = 2**30


@dataclass(frozen=True)
class Assumed:
    """What no measurement of one machine tells.

    Parameters
    ----------
    events
        Events a second.
    busy
        Share of a core that a worker may use.
    users, items
        Users who are active within the horizon, and items.
    item_interval
        Seconds after which a changed item is published at the latest; in a busy shop also about the earliest.
    replicas
        Copies of every topic.
    broker_bytes
        Bytes a second that a broker takes, copies included.
    partition_events
        Events a second of a partition.
    checkpoint
        Seconds between the transactions of a worker.
    """

    events: float = 1e6
    busy: float = 0.6
    users: float = 1e8
    items: float = 1e6
    item_interval: float = 60.0
    replicas: int = 3
    broker_bytes: float = 200e6
    partition_events: float = 2_500.0
    checkpoint: float = 1.0


def model_table(found: Figures, memory: Figures, assumed: Assumed | None = None) -> str:
    """Return the model as a table: quantity, formula, value."""
    given = assumed or Assumed()
    ours = found["Keepstream"]
    stages = ours["stages"]
    cost = sum(spent for name, spent in stages.items() if name != BROADCAST)
    row_cost = ours["row_cost"]
    rows = given.items / given.item_interval
    reading = rows * row_cost / 1e6
    workers = ceil(given.events * cost / 1e6 / max(0.01, given.busy - reading)) if reading < given.busy else 0
    partitions = ceil(given.events / given.partition_events)
    written = (ours["bytes_per_event"] + ours["event_bytes"]) * given.events * given.replicas
    held = max(1, workers)
    each = ceil(partitions / held)
    requests = held * (4 * 2 * each + 6) / given.checkpoint
    user_bytes = given.users * memory["user"] / held
    table_bytes = given.items * memory["item, broadcast"]
    labels = given.users / (7 * 86_400) * 2
    lines = [
        ("CPU an event without the broadcast", "measured", f"{cost:.0f} µs"),
        ("CPU a row of the broadcast, on every worker", "measured", f"{row_cost:.0f} µs"),
        ("broadcast rows", f"{given.items:,.0f} items / {given.item_interval:.0f} s", f"{rows:,.0f}/s"),
        ("broadcast on every worker", "rows * cost", f"{100 * reading:.0f} % of a core"),
        (
            "workers, one core each",
            f"events * cost / ({given.busy:.0%} busy - broadcast)".replace("%", " %"),
            f"{workers:,}" if workers else "none can keep up with the broadcast",
        ),
        ("partitions", f"{given.partition_events:,.0f} events/s each", f"{partitions:,}"),
        (
            "broker writes",
            f"bytes an event * {given.replicas} copies",
            (
                f"{written / 1e9:,.1f} GB/s, {ceil(written / given.broker_bytes):,} brokers of "
                f"{given.broker_bytes / 1e6:.0f} MB/s"
            ),
        ),
        (
            "requests of checkpoints",
            f"(8 a partition + 6) a worker, every {given.checkpoint:.0f} s",
            f"{requests:,.0f}/s",
        ),
        (
            "memory of a worker",
            f"{given.users:,.0f} users shared out + {given.items:,.0f} items known to all",
            f"{user_bytes / _GIB:.1f} + {table_bytes / _GIB:.1f} GiB",
        ),
        (
            "trainer",
            f"2 labels a user and week * {memory['label']:.0f} µs",
            f"{labels:,.0f}/s, {100 * labels * memory['label'] / 1e6:.0f} % of a core",
        ),
        ("ranker", "20 touches a second, whatever the load", "constant"),
    ]
    return "\n".join(
        ["| quantity | how | value |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in lines)]
    )
