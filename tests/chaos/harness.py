"""Feeds a counting topology, does it harm, and compares everything it says with the truth."""

import collections
import json
import random
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.chaos.counting import TOPICS
from tests.chaos.processes import Workers
from tests.chaos.reading import records
from tests.chaos.standing import Agent, standing
from tests.integration.shop import wait_until

Row = tuple[int, int, bytes | None, bytes | None]


@dataclass
class Topology:
    """The counting topology on a broker, with its workers as processes.

    Parameters
    ----------
    bootstrap
        The broker.
    directory
        For logs and lock files.
    partitions, replication
        Of every topic.
    """

    bootstrap: str
    directory: Path
    partitions: int = 4
    replication: int = 1
    seed: int = 7
    group: str = field(default_factory=lambda: f"c{uuid.uuid4().hex[:8]}")
    faults: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    undelivered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.truth_users: collections.Counter[str] = collections.Counter()
        self.truth_items: collections.Counter[str] = collections.Counter()
        self.workers = Workers(self.directory, self._command)
        self._names = 0
        self.enough = threading.Event()
        """Set it to end the feeding."""
        self._random = random.Random(self.seed)
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        compact = {"cleanup.policy": "compact", "segment.ms": "10000", "min.cleanable.dirty.ratio": "0.05"}
        created = admin.create_topics(
            [
                NewTopic(
                    f"{self.group}-{t}",
                    self.partitions,
                    self.replication,
                    config=compact if "changelog" in t else {},
                )
                for t in TOPICS
            ]
        )
        for future in created.values():
            future.result(30)

    def _command(self, name: str) -> list[str | Path]:
        command = [sys.executable, "-m", "tests.chaos.counting", self.bootstrap, self.group, name]
        return [*command, self.directory / name, str(self.partitions)]

    def start(self, name: str | None = None) -> str:
        """Start a worker under a name, a new one unless given."""
        if name is None:
            self._names += 1
            name = f"w{self._names}"
        self.workers.start(name)
        return name

    def holds_partitions(self, name: str) -> bool:
        """Whether a worker has restored a partition since it started."""
        return " restored " in (self.directory / f"{name}.log").read_text(errors="replace")

    def pick(self) -> str:
        """Return a running worker at random."""
        return self._random.choice(self.workers.alive())

    def last_words(self) -> str:
        """Return how far every partition is, where the workers' threads stand, and the ends of their logs."""
        agents = [("ev", "users-changelog"), ("mid", "items-changelog")]
        named = [Agent(*(f"{self.group}-{topic}" for topic in agent)) for agent in agents]
        return f"{standing(self.bootstrap, self.group, named)}\n{self.workers.last_words()}"

    # -- events

    def feed(self, events: int, rate: float | None = None, *, poison_every: int = 0) -> None:
        """Send events with numbers following those sent before."""
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "linger.ms": 5, "enable.idempotence": True,
             "message.timeout.ms": 180_000, "queue.buffering.max.messages": 1_000_000}
        )  # fmt: skip
        began = time.monotonic()
        for index in range(events):
            if self.enough.is_set():
                break
            number, self.sent = self.sent, self.sent + 1
            user = f"u{int(self._random.paretovariate(1)) % 300}"
            item = f"i{int(self._random.paretovariate(1)) % 200}"
            event: dict[str, object] = {"n": number, "u": user, "i": item}
            if poison_every and index % poison_every == poison_every - 1:
                event["poison"] = True
            else:
                self.truth_users[user] += 1
                self.truth_items[item] += 1
            producer.produce(f"{self.group}-ev", json.dumps(event), user, on_delivery=self._delivered)
            if index % 100 == 0:
                producer.poll(0)
                if rate is not None:
                    ahead = index / rate - (time.monotonic() - began)
                    if ahead > 0:
                        time.sleep(ahead)  # the rate is the workload
        if left := producer.flush(180):
            self.undelivered.append(f"{left} events were not taken")

    def _delivered(self, error: KafkaError | None, message: object) -> None:
        if error is not None:
            self.undelivered.append(str(error))

    def feed_in_background(self, events: int, rate: float) -> threading.Thread:
        thread = threading.Thread(target=self.feed, args=(events, rate), daemon=True)
        thread.start()
        return thread

    # -- what came of it

    def length(self, topic: str) -> int:
        """Return the offsets written to a topic so far, those of commits included."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        asked = [TopicPartition(f"{self.group}-{topic}", p) for p in range(self.partitions)]
        until = time.monotonic() + 60
        while True:
            ends = admin.list_offsets(dict.fromkeys(asked, OffsetSpec.latest()), request_timeout=5)
            try:
                return sum(future.result(6).offset for future in ends.values())
            except (KafkaException, TimeoutError):  # leaders are being elected
                if time.monotonic() > until:
                    raise

    def read(self, topic: str) -> list[Row]:
        """Read a whole topic up to its end, committed records only."""
        found = records(self.bootstrap, f"{self.group}-{topic}")
        return [(m.partition(), m.offset(), m.key(), m.value()) for m in found]

    def wait_for_outputs(self, deadline_s: float = 200) -> None:
        """Wait until every event has come out of the second agent; restart workers that died meanwhile."""
        expected = sum(self.truth_items.values())
        progress = [-1, time.monotonic()]

        def done() -> bool:
            assert not self.undelivered, f"{len(self.undelivered)} events lost: {self.undelivered[0]}"
            self.workers.supervise()
            seen = len(self.read("iout"))
            if seen != progress[0]:
                progress[:] = [seen, time.monotonic()]
            quiet_s = time.monotonic() - progress[1]
            assert quiet_s < 120, f"stuck at {seen} of {expected} outputs\n{self.last_words()}"
            return seen >= expected

        wait_until(done, f"{expected} outputs", deadline_s)

    def check(self) -> None:
        """Compare every output id, every sequence and both states with the truth."""
        for topic, truth in (("out", self.truth_users), ("iout", self.truth_items)):
            sequences: dict[str, list[int]] = collections.defaultdict(list)
            numbers: collections.Counter[int] = collections.Counter()
            for _, _, _, value in self.read(topic):
                line = json.loads(value or b"{}")
                sequences[line["k"]].append(line["c"])
                numbers[line["n"]] += 1
            repeated = [n for n, count in numbers.items() if count > 1]
            assert not repeated, f"{topic}: {len(repeated)} outputs committed twice, e.g. {repeated[:5]}"
            wrong = {k for k, count in truth.items() if sequences[k] != list(range(1, count + 1))}
            assert not wrong, (
                f"{topic}: {len(wrong)} of {len(truth)} sequences are wrong, e.g. {sorted(wrong)[:5]}"
            )
            assert len(numbers) == sum(truth.values())
        for topic, truth in (("users-changelog", self.truth_users), ("items-changelog", self.truth_items)):
            table = {
                key.decode(): msgspec.msgpack.decode(value)
                for _, _, key, value in self.read(topic)
                if key is not None and value is not None and not key.startswith(b"\0")
            }
            assert table == dict(truth), f"{topic} differs from the truth"
