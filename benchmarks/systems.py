"""The other systems: how each is started, what it needs, and what it reports of a log."""

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import brokers
from benchmarks.shop import PARTITIONS, producer, send, topic_sizes, wait_until
from benchmarks.workload import Records, Truth
from streams.guarded import GuardedProcess
from streams.settings import load
from tests.integration import kafka

ROOT: Final = Path(__file__).parent.parent
PEERS: Final = ROOT / ".cache" / "peers" / "bin" / "python"
"""Interpreter of the environment that `make bench` makes for the peers: their pins differ from ours."""

BOUND: Final = "decode only, our transport"
STREAMS: Final = "Kafka Streams (Java)"
_START_S: Final = 120


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
    compile_it: list[str | Path] = [
        "javac",
        "-cp",
        "streams-peer/*",
        "-d",
        "streams-peer",
        source / "Peer.java",
    ]
    subprocess.run(compile_it, cwd=work, check=True, timeout=300)


def _streams_missing() -> str | None:
    return kafka.missing() or (
        None if shutil.which("javac") else "Kafka Streams needs a JDK: there is no javac"
    )


def _streams_command() -> list[str | Path]:
    jars = _streams_jars()
    return ["java", "-XX:+UseSerialGC", "-Xmx1g", "-cp", f"{jars}/*:{jars}", "Peer"]


PEER_SYSTEMS = (
    Peer(BOUND, *_python("decoding", "streams"), part=True),
    Peer("confluent-kafka loop", *_python("bare_loop", "river")),
    Peer("Bytewax", *_python("bytewax_flow", "bytewax")),
    Peer("Quix Streams", *_python("quix", "quixstreams"), slow=True),
    Peer("Faust", *_python("plain_faust", "faust"), slow=True),
    Peer(STREAMS, _streams_command, _streams_missing, part=True),
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
