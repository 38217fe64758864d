"""Events a second and core: Keepstream beside other ways to do the job, on one broker, in one run.

CPU time of the process decides, not the wall clock, so that other work on the machine weighs little. The
counts of every system are compared with the log before its time is believed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import brokers, results
from benchmarks.shop import PARTITIONS, Shop, Usage, live_sample, producer, send, topic_sizes, wait_until
from benchmarks.workload import Truth, Workload, event_ms, real_log
from streams.guarded import GuardedProcess
from streams.settings import Settings, load
from tests.integration import kafka

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
"""Interpreter of the environment that `make bench` makes for the peers: their pins differ from ours."""

Records = list[tuple[bytes, bytes]]
_START_S = 120
_SLOW = 20
BROADCAST = "broadcast: neighbours read"
REPLAY = "Keepstream, replay"
"""Every touch teaches the ranker."""


@dataclass(frozen=True)
class Peer:
    """One other way.

    Parameters
    ----------
    name
        How tables call it.
    command
        Returns the command that starts it.
    missing
        Returns why it cannot run here, or None.
    part
        Whether it does a part of the job only.
    slow
        Whether it is given a shop of the same density, but a small part of the size; the state that it writes
        for every event is smaller then.
    """

    name: str
    command: Callable[[], list[str | Path]]
    missing: Callable[[], str | None]
    part: bool = False
    slow: bool = False


def _python(module: str, needs: str) -> tuple[Callable[[], list[str | Path]], Callable[[], str | None]]:
    """Return the command of a peer in Python, and the question whether what it needs is installed."""

    def interpreter() -> Path:
        return PEERS if PEERS.exists() else Path(sys.executable)

    def missing() -> str | None:
        found = subprocess.run([interpreter(), "-c", f"import {needs}"], capture_output=True, check=False)
        return f"{needs} is not installed for this Python: `make bench` does" if found.returncode else None

    return lambda: [interpreter(), "-m", f"benchmarks.peers.{module}"], missing


def _streams_jars() -> Path:
    return kafka.once(kafka.cache_directory(), "streams-peer", _compile)


def _compile(work: Path) -> None:
    """Fetch Kafka Streams from Maven Central and compile the topology beside it."""
    source = ROOT / "benchmarks" / "peers" / "kafka_streams"
    shutil.copy(source / "pom.xml", work)
    fetch = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=streams-peer"]
    subprocess.run(fetch, cwd=work, check=True, timeout=600)
    compile_it = ["javac", "-cp", "streams-peer/*", "-d", "streams-peer", source / "Peer.java"]
    subprocess.run(compile_it, cwd=work, check=True, timeout=300)


def _streams_missing() -> str | None:
    return kafka.missing() or (
        None if shutil.which("javac") else "Kafka Streams needs a JDK: there is no javac"
    )


def _streams_command() -> list[str | Path]:
    jars = _streams_jars()
    return ["java", "-XX:+UseSerialGC", "-Xmx1g", "-cp", f"{jars}/*:{jars}", "Peer"]


PEER_SYSTEMS = (
    Peer("decode only, our transport", *_python("decoding", "streams"), part=True),
    Peer("confluent-kafka loop", *_python("bare_loop", "river")),
    Peer("Bytewax", *_python("bytewax_flow", "bytewax")),
    Peer("Quix Streams", *_python("quix", "quixstreams"), slow=True),
    Peer("Faust", *_python("plain_faust", "faust"), slow=True),
    Peer("Kafka Streams (Java)", _streams_command, _streams_missing, part=True),
)


def measure_peer(
    peer: Peer, bootstrap: str, log: tuple[Records, int], *, directory: Path, seconds: float
) -> dict[str, Any]:
    """Run a peer over the log, until its end or until time is up, and return what it reported."""
    records, warm = log
    reason = peer.missing()
    if reason:
        return {"skipped": reason}
    name = f"p{uuid.uuid4().hex[:8]}"
    source, lists, pairs = (f"{name}-{part}" for part in ("events", "lists", "pairs"))
    brokers.create(bootstrap, PARTITIONS, source, lists, pairs)
    send(producer(bootstrap), source, records)
    report, said = directory / f"{name}.json", directory / f"{name}.log"
    arguments: dict[str, Any] = {
        "bootstrap": bootstrap,
        "source": source,
        "lists": lists,
        "pairs": pairs,
        "report": report,
        "directory": directory / name,
        "warm": warm,
        "events": len(records),
        "seconds": seconds,
    }
    (directory / name).mkdir()
    # Faust takes what it does not know for its own.
    given = [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    process = GuardedProcess([*peer.command(), *given], said)
    try:
        wait_until(
            lambda: report.exists() or not process.is_running(),
            f"{peer.name}: its report (output: {said})",
            seconds + _START_S,
        )
        if not report.exists():
            return {"skipped": "ended early: " + " | ".join(process.said()[-3:])}
        found: dict[str, Any] = json.loads(report.read_text())
        sizes = topic_sizes(load(environ={}, bootstrap_servers=bootstrap), name)
    finally:
        process.kill()
    if "users" in found:
        truth = Truth.of(records)
        found["deviations"] = truth.deviations(found.pop("users"), found.pop("items"), whole=found["whole"])
    written = sum(size for topic, size in sizes.items() if topic != source)
    taken = found["events"] + warm
    return found | {"bytes_per_event": written / taken}


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
    """Run workers over the log and return what the first has used, by stage, and all of them together.

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
        written = sum(shop.bytes_written().values())
        shop.send(records[warm:])
        shop.settle()
        for worker in shop.workers:
            wait_until(worker.is_committed, "the last checkpoint")
        seconds, after = time.monotonic() - began, [worker.usage() for worker in shop.workers]
        count = len(records) - warm
        metrics, sizes = [worker.metrics() for worker in shop.workers], shop.bytes_written()
        source = sum(len(key) + len(value) for key, value in records[warm:])
        spent = _spent(before, after, count)
        return {
            "events": count,
            "share": 1.0,
            "whole": True,
            "cpu": sum(now.cpu - then.cpu for now, then in zip(after, before, strict=True)),
            "seconds": seconds,
            "stages": spent,
            "row_cost": _each(spent[BROADCAST] * count, metrics, "keepstream_broadcast_rows_total", earlier),
            "event_bytes": source / count,
            "deviations": shop.deviations(Truth.of(records)),
            "bytes_per_event": (sum(sizes.values()) - written - source) / count,
            "bytes_by_topic": {name: size / len(records) for name, size in sizes.items()},
            "lists": sum(one.get("keepstream_recommendation_lists_total", 0.0) for one in metrics),
            "scores": sum(one.get("keepstream_churn_scores_total", 0.0) for one in metrics),
            "resident": max(worker.resident() for worker in shop.workers),
        }


def _each(spent: float, now: list[dict[str, float]], metric: str, before: list[dict[str, float]]) -> float:
    """Return what each of the things cost that a metric has counted meanwhile, whatever its labels."""
    counted = sum(
        sign * value
        for sign, found in ((1, now), (-1, before))
        for one in found
        for name, value in one.items()
        if name.startswith(metric)
    )
    return spent / max(1.0, counted)


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


def per_core(found: dict[str, Any]) -> float:
    """Return events a second of CPU; of those whose items are counted too."""
    return float(found["events"] * found["share"] / found["cpu"]) or 1e-9


def main() -> None:
    """Measure all of them and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=1, help="one n-th of everything; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=40.0, help="for a peer; default: %(default)s")
    parser.add_argument("--log", type=Path, help="a real log, as `keepstream dataset` writes it")
    parser.add_argument("--only", nargs="*", help="peers whose names hold one of these words")
    brokers.add_options(parser)
    options = parser.parse_args()
    logs = _real(options) if options.log else _seeded(options.parts)
    records, warm = logs[False]
    with (
        results.collected("throughput_real" if options.log else "throughput") as found,
        brokers.started(options) as bootstrap,
    ):
        directory = results.scratch()
        ours = found["Keepstream"] = measure_keepstream(bootstrap, records, warm, directory)
        print(line("Keepstream", ours, ours), flush=True)
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
    count = 20_000 // options.parts
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
