"""Keepstream on a broker, as a benchmark sees it: topics, events in, workers, and when they are through."""

import json
import re
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.workload import Truth
from streams import topics
from streams.cluster import Cluster
from streams.guarded import GuardedProcess
from streams.settings import Settings, load

PARTITIONS = 4
READY_S = 120
LIVE_PACE = 3_000.0
"""Events a second of the live shop that is assumed."""
_ASKED_USERS = 60


def wait_until(condition: Any, what: str, seconds: float = READY_S, pause: float = 0.05) -> None:
    """Wait for something to become true.

    Raises
    ------
    SystemExit
        If it does not in time.
    """
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)


def live_sample(events_per_event_second: float, settings: Settings) -> dict[str, object]:
    """Return settings under which the ranker samples touches as it would at the pace of a live shop.

    It takes a number of touches for each second of event time. Logs of benchmarks stretch over so much of
    it that these would be all touches; a worker that is busy with a live shop takes a few in a thousand.
    """
    sample = settings.recommendations.ranker_examples_per_second
    return {"ranker_examples_per_second": sample * events_per_event_second / LIVE_PACE}


class Usage(NamedTuple):
    """CPU seconds of a worker at a moment, by stage where it is watched."""

    cpu: float
    stages: dict[str, float]


class Worker:
    """One worker process, with clocks on its stages."""

    def __init__(
        self, settings: Settings, directory: Path, name: str, environment: Mapping[str, object]
    ) -> None:
        self.report = directory / f"{name}.stages"
        self.process = GuardedProcess(
            [
                *("env", *(f"KEEPSTREAM_{key.upper()}={value}" for key, value in environment.items())),
                *(sys.executable, "-m", "benchmarks.staged", self.report, "worker", "--http-port", "0"),
                *("--instance", name, "--group", settings.engine.group),
                *("--data-dir", directory / "data", "--topic-prefix", settings.broker.topic_prefix),
                *("--bootstrap-servers", settings.broker.bootstrap_servers),
            ],
            directory / f"{name}.log",
        )
        self._url = ""

    @property
    def url(self) -> str:
        """Where it answers."""
        if not self._url:
            found: list[str] = []

            def listening() -> bool:
                if not self.process.is_running():
                    raise SystemExit("\n".join(self.process.said()[-20:]))
                found.extend(re.findall(r"lookups at (http://\S+)", "\n".join(self.process.said())))
                return bool(found)

            wait_until(listening, "the worker's address")
            self._url = found[0]
        return self._url

    def ask(self, path: str) -> Any:
        """Return the JSON of a lookup, None where there is none yet."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:  # noqa: S310  # our own worker
                return json.loads(answer.read())
        except urllib.error.HTTPError:
            return None

    def metrics(self) -> dict[str, float]:
        """Return its metrics."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=30) as answer:  # noqa: S310  # same
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def usage(self) -> Usage:
        """Return what it has used, as it says itself."""
        self.report.unlink(missing_ok=True)
        psutil.Process(self.process.pid).send_signal(signal.SIGUSR2)
        wait_until(self.report.exists, "the worker's stages", 30, 0.01)
        return Usage(**json.loads(self.report.read_text()))

    def is_committed(self) -> bool:
        """Return whether everything that is applied is committed."""
        return self.metrics()["keepstream_checkpoint_age_seconds"] == 0

    def resident(self) -> int:
        """Return its resident memory, bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


class Shop:
    """Topics of their own, and the workers on them; enter it."""

    def __init__(
        self,
        bootstrap: str,
        directory: Path,
        *,
        partitions: int = PARTITIONS,
        environment: Mapping[str, object] | None = None,
    ) -> None:
        name = f"b{uuid.uuid4().hex[:8]}"
        self.directory = directory / name
        self.directory.mkdir()
        self.settings = load(
            environ={},
            bootstrap_servers=bootstrap,
            topic_prefix=f"{name}.",
            group=name,
            events_partitions=partitions,
        )
        self.partitions, self._environment = partitions, environment or {}
        topics.create(self.settings)
        self.workers: list[Worker] = []
        self.sent = 0
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{name}-ends"})
        self._producer = producer(bootstrap)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.process.kill()
        self._consumer.close()

    def start(self, count: int = 1) -> None:
        """Start workers and wait until together they hold every partition, and each of them one."""
        self.workers += [
            Worker(self.settings, self.directory, f"w{len(self.workers) + n}", self._environment)
            for n in range(count)
        ]
        wait_until(self._is_shared_out, "all partitions open, at every worker")

    def _is_shared_out(self) -> bool:
        held = [len(self._open(worker)) for worker in self.workers]
        return min(held) > 0 and sum(held) == 2 * self.partitions + 2

    def send(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Append events."""
        send(self._producer, topics.EVENTS.full_name(self.settings), records)
        self.sent += len(records)

    def settle(self, seconds: float = 600) -> None:
        """Wait until events and all that is derived of them are applied and committed."""
        derived = (topics.ITEM_PAIRS, topics.EXAMPLES, topics.RANK_EXAMPLES)
        names = [topic.full_name(self.settings) for topic in (topics.EVENTS, *derived)]

        def through() -> bool:
            held = self._positions()
            for name in names:
                for (topic, number), position in held.items():
                    if topic == name and position < self.end(name, number):
                        return False
            return True

        def settled() -> bool:
            # What is derived of the last events comes with their checkpoint: the ends are looked at after it.
            return through() and all(worker.is_committed() for worker in self.workers) and through()

        wait_until(settled, "the ends of the logs", seconds, 0.1)

    def end(self, topic: str, partition: int) -> int:
        """Return where a partition ends."""
        return int(self._consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)[1])

    def bytes_written(self) -> dict[str, int]:
        """Return the bytes of its topics on the broker's disk, by topic without prefix."""
        prefix = self.settings.broker.topic_prefix
        sizes = topic_sizes(self.settings, prefix)
        return {name.removeprefix(prefix): size for name, size in sizes.items()}

    def deviations(self, truth: Truth) -> int:
        """Return how many of some users and some items are counted otherwise than they should be."""
        users = [user for user in truth.names if user not in truth.strangers]
        users = users[:: max(1, len(users) // _ASKED_USERS)]
        items = list(truth.touches)[:: max(1, len(truth.touches) // _ASKED_USERS)]
        counts = {user: (self._ask("users", user) or {}).get("event_counts", {}) for user in users}
        touches: dict[str, int] = {i: (self._ask("items", i) or {}).get("touches", 0) for i in items}
        named = {user: {name: n for name, n in found.items() if n} for user, found in counts.items()}
        wrong: int = truth.deviations(named, {}, whole=False)
        wrong += sum(len(truth.names[user]) != sum(found.values()) for user, found in named.items())
        return wrong + sum(truth.touches[item] != count for item, count in touches.items())

    def _ask(self, kind: str, name: str) -> Any:
        return self.workers[0].ask(f"/v1/{kind}/{urllib.parse.quote(name, safe='')}")

    def _positions(self) -> dict[tuple[str, int], int]:
        """Return the positions of the partitions that workers hold open."""
        return {place: position for worker in self.workers for place, position in self._open(worker).items()}

    @staticmethod
    def _open(worker: Worker) -> dict[tuple[str, int], int]:
        held = (worker.ask("/v1/status") or {"partitions": ()})["partitions"]
        return {(one["topic"], one["partition"]): one["position"] for one in held if one["open"]}


def topic_sizes(settings: Settings, mark: str) -> dict[str, int]:
    """Return the bytes on the broker's disk of every topic that has `mark` in its name."""
    with Cluster(settings) as cluster:
        return {name: size for name, size in cluster.sizes().items() if mark in name}


def producer(bootstrap: str) -> Producer:
    """Return a producer that puts users where Java's partitioner would."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 2_000_000,
            "log_level": 2,  # it outlives the broker of its benchmark, and would say so
        }
    )


def send(to: Producer, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
    """Append records and wait until they are taken.

    Raises
    ------
    SystemExit
        If the broker does not take them.
    """
    for key, value in records:
        to.produce(topic, value, key)
    if to.flush(120):
        raise SystemExit("the broker did not take the events")
