"""Events a second and core: Keepstream beside other ways to do the job, on one broker, in one run.

CPU time of the process decides, not the wall clock, so that other work on the machine weighs little. The
counts of every system are compared with the log before its time is believed.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks import brokers, results
from benchmarks.shop import PARTITIONS, Shop, Usage, live_sample
from benchmarks.systems import PEER_SYSTEMS, measure_peer
from benchmarks.workload import Records, Truth, Workload, asks_for_list, event_ms, real_log
from streams.settings import Settings

OURS: Final = "Keepstream"
REPLAY: Final = "Keepstream, replay"
"""Every touch teaches the ranker."""
BROADCAST: Final = "broadcast: neighbours read"
_REAL: Final = 10_000
"""Events of a real log."""
_SLOW: Final = 20
"""The part of the log that slow systems are given."""


def measure_keepstream(
    bootstrap: str,
    records: Records,
    warm: int,
    directory: Path,
    *,
    partitions: int = PARTITIONS,
    workers: int = 1,
    replay: bool = False,
) -> dict[str, Any]:
    """Run workers over the log and return what all of them together have used, by stage.

    Parameters
    ----------
    records, warm
        The log, and how many of its events come before the clock.
    replay
        Let the ranker learn from every touch that the event time allows, as when a log is replayed.
    """
    density = (len(records) - warm) / max(1.0, seconds_between(records[warm], records[-1]))
    pace = {} if replay else live_sample(density, Settings())
    with Shop(bootstrap, directory, partitions=partitions, environment=pace) as shop:
        shop.send(records[:warm])
        shop.start(workers)
        shop.settle()
        earlier = [worker.metrics() for worker in shop.workers]
        before, began = [worker.usage() for worker in shop.workers], time.monotonic()
        broker = brokers.cpu_seconds(bootstrap)
        written = sum(shop.bytes_written().values())
        shop.send(records[warm:])
        shop.settle()
        seconds, after = time.monotonic() - began, [worker.usage() for worker in shop.workers]
        broker = brokers.cpu_seconds(bootstrap) - broker
        count = len(records) - warm
        metrics, sizes = [worker.metrics() for worker in shop.workers], shop.bytes_written()
        source = sum(len(key) + len(value) for key, value in records[warm:])

        def counted(name: str) -> float:
            return _total(metrics, name) - _total(earlier, name)

        spent, rows = _spent(before, after, count), counted("keepstream_broadcast_rows_total")
        return {
            "events": count,
            "asking": sum(asks_for_list(value) for _, value in records[warm:]),
            "share": 1.0,
            "whole": True,
            "cpu": sum(now.cpu - then.cpu for now, then in zip(after, before, strict=True)),
            "seconds": seconds,
            "broker": 1e6 * broker / count,
            "stages": spent,
            "row_cost": spent.get(BROADCAST, 0.0) * count / max(1.0, rows),
            "event_bytes": source / count,
            "deviations": shop.deviations(Truth.of(records)),
            "bytes_per_event": (sum(sizes.values()) - written - source) / count,
            "bytes_by_topic": {name: size / len(records) for name, size in sizes.items()},
            "lists": counted("keepstream_recommendation_lists_total"),
            "scores": counted("keepstream_churn_scores_total"),
            "resident": max(worker.resident() for worker in shop.workers),
        }


def _total(metrics: list[dict[str, float]], name: str) -> float:
    """Return a counter of all workers, whatever its labels."""
    return sum(value for one in metrics for key, value in one.items() if key.startswith(name))


def _spent(before: list[Usage], after: list[Usage], events: int) -> dict[str, float]:
    """Return microseconds an event by stage, all workers together; what no stage has is the rest."""
    found: dict[str, float] = {}
    rest = 0.0
    for now, then in zip(after, before, strict=True):
        rest += now.cpu - then.cpu
        for name, spent in now.stages.items():
            took = spent - then.stages.get(name, 0.0)
            found[name] = found.get(name, 0.0) + took
            rest -= took
    found["transport: Kafka clients, Faust, event loop"] = rest
    return {name: 1e6 * spent / events for name, spent in found.items()}


def seconds_between(first: tuple[bytes, bytes], last: tuple[bytes, bytes]) -> float:
    """Return the event time between two records, seconds."""
    return (event_ms(last[1]) - event_ms(first[1])) / 1000


def per_core(found: Mapping[str, Any]) -> float:
    """Return events a second of CPU; of those whose items are counted too."""
    return float(found["events"] * found["share"] / found["cpu"]) or 1e-9


def believed(found: Mapping[str, Any]) -> bool:
    """Return whether a system was measured, and counted what is in the log."""
    return "cpu" in found and not found.get("deviations")


def main() -> None:
    """Measure all of them and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0, help="for a peer; default: %(default)s")
    parser.add_argument("--log", type=Path, help="a real log, as `keepstream dataset` writes it")
    parser.add_argument("--only", nargs="*", help="peers whose names hold one of these words")
    brokers.add_options(parser)
    options = parser.parse_args()
    logs = _real(options) if options.log else _seeded(options.divisor)
    records, warm = logs[False]
    with (
        results.collected("real" if options.log else "throughput", options) as found,
        brokers.started(options) as bootstrap,
    ):
        directory = results.scratch()
        ours = found[OURS] = measure_keepstream(bootstrap, records, warm, directory)
        print(line(OURS, ours, ours), flush=True)
        if not options.log:
            found[REPLAY] = measure_keepstream(bootstrap, records, warm, directory, replay=True)
            print(line(REPLAY, found[REPLAY], ours), flush=True)
        for peer in PEER_SYSTEMS:
            if options.only is not None and not any(w.lower() in peer.name.lower() for w in options.only):
                continue
            measured = measure_peer(
                peer, bootstrap, logs[peer.slow], directory=directory, seconds=options.seconds
            )
            found[peer.name] = measured | {"part": peer.part, "slow": peer.slow}
            print(line(peer.name, measured, ours), flush=True)
        for stage, spent in sorted(ours["stages"].items(), key=lambda one: -one[1]):
            print(f"    {stage:<40} {spent:8.1f} µs an event")


def _seeded(parts: int) -> dict[bool, tuple[Records, int]]:
    """Return the log and its warm-up, for the slow ones and for the others."""
    whole = Workload().part(parts)
    small = whole.part(max(1, _SLOW // parts))
    return {False: (whole.records(), whole.history), True: (small.records(), small.history)}


def _real(options: argparse.Namespace) -> dict[bool, tuple[Records, int]]:
    count = _REAL // options.divisor
    records = real_log(options.log, count)
    small = records[: count // _SLOW]
    return {False: (records, count // 3), True: (small, len(small) // 3)}


def line(name: str, found: dict[str, Any], ours: dict[str, Any]) -> str:
    """Return a line of the table; a peer that counts wrongly is not believed."""
    if "skipped" in found:
        return f"{name:<28} skipped: {found['skipped']}"
    if found.get("deviations"):
        return f"{name:<28} WRONG: {found['deviations']} users and items are counted otherwise"
    ratio = per_core(ours) / per_core(found)
    return (
        f"{name:<28} {per_core(found):>10,.0f} events/s a core  {1e6 / per_core(found):>8.0f} µs"
        f"  Keepstream {ratio:>6.2f} times  {found['bytes_per_event']:>8,.0f} B written an event"
        f"  {found['events']:,} events"
    )


if __name__ == "__main__":
    main()
