"""Feeds a counting topology, does it harm, and compares everything it says with the truth."""

import collections
import json
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.engine.restore import POSITION_KEY, decode_position
from tests.chaos.counting import TOPICS

Row = tuple[int, int, bytes | None, bytes | None]


def wait_until(condition: Callable[[], bool], deadline_s: float, what: str) -> None:
    """Poll a condition; fail with `what` when it does not hold before the deadline."""
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until, f"{what} not within {deadline_s:.0f} s"
        time.sleep(0.05)


@dataclass
class Topology:
    """The counting topology on a broker, with its workers as processes.

    Parameters
    ----------
    bootstrap
        The broker.
    directory
        For logs and lock files.
    partitions
        Of every topic.
    """

    bootstrap: str
    directory: Path
    partitions: int = 4
    seed: int = 7
    group: str = field(default_factory=lambda: f"c{uuid.uuid4().hex[:8]}")
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    undelivered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.truth_users: collections.Counter[str] = collections.Counter()
        self.truth_items: collections.Counter[str] = collections.Counter()
        self._names = 0
        self._random = random.Random(self.seed)
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        compact = {"cleanup.policy": "compact", "segment.ms": "10000", "min.cleanable.dirty.ratio": "0.05"}
        created = admin.create_topics(
            [
                NewTopic(f"{self.group}-{t}", self.partitions, 1, config=compact if "changelog" in t else {})
                for t in TOPICS
            ]
        )
        for future in created.values():
            future.result(30)

    # -- workers

    def start(self, name: str | None = None) -> str:
        if name is None:
            self._names += 1
            name = f"w{self._names}"
        with (self.directory / f"{name}.log").open("ab") as output:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.counting", self.bootstrap, self.group, name,
                 str(self.directory / name), str(self.partitions)],
                stdout=output, stderr=output, cwd=Path(__file__).parents[2], start_new_session=True,
            )  # fmt: skip
        return name

    def alive(self) -> list[str]:
        return [name for name, process in self.workers.items() if process.poll() is None]

    def pick(self) -> str:
        return self._random.choice(self.alive())

    def kill(self, name: str) -> None:
        process = self.workers.pop(name)
        process.kill()
        process.wait(10)

    def terminate(self, name: str, deadline_s: float = 45) -> int:
        process = self.workers.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(deadline_s)

    def freeze(self, name: str, seconds: float) -> None:
        process = self.workers[name]
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)  # the length of the freeze is the fault, nothing is waited for
        process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        for process in self.workers.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(10)
        self.workers.clear()

    def last_words(self) -> str:
        """Return how far every partition is, where the workers' threads stand, and the ends of their logs."""
        for name in self.alive():
            self.workers[name].send_signal(signal.SIGUSR1)
        time.sleep(1)  # the dumps are written meanwhile; this is a report of a failure
        tails = [self.standing()]
        for name in self.workers:
            lines = (self.directory / f"{name}.log").read_text(errors="replace").splitlines()
            told = [line for line in lines if "rdkafka#" not in line and " INFO faust" not in line]
            tails.append("\n".join([f"-- {name}", *told[-60:]]))
        return "\n".join(tails)

    def standing(self) -> str:
        """Return position and log ends of every source partition."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "standing"})
        stable = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "standing", "isolation.level": "read_committed"}
        )
        lines = []
        for source, changelog in (("ev", "users-changelog"), ("mid", "items-changelog")):
            positions = {
                partition: decode_position(value)
                for partition, _, key, value in self.read(changelog)
                if key == POSITION_KEY and value is not None
            }
            for p in range(self.partitions):
                tp = TopicPartition(f"{self.group}-{source}", p)
                end, lso = (c.get_watermark_offsets(tp, 10)[1] for c in (consumer, stable))
                lines.append(f"{source}[{p}]: position {positions.get(p)}, stable end {lso}, end {end}")
        consumer.close()
        stable.close()
        return "\n".join(lines)

    def supervise(self) -> None:
        """Start workers again that ended by themselves, as a supervisor does."""
        for name in [name for name in self.workers if name not in self.alive()]:
            self.workers.pop(name)
            self.start(name)

    # -- events

    def feed(self, events: int, rate: float | None = None, *, poison_every: int = 0) -> None:
        """Send events with numbers following those sent before."""
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "linger.ms": 5, "enable.idempotence": True,
             "message.timeout.ms": 180_000, "queue.buffering.max.messages": 1_000_000}
        )  # fmt: skip
        began = time.monotonic()
        for index in range(events):
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

    def read(self, topic: str, isolation: str = "read_committed") -> list[Row]:
        """Read a whole topic up to its end."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": f"check-{uuid.uuid4().hex}",
             "isolation.level": isolation, "enable.partition.eof": True, "enable.auto.commit": False}
        )  # fmt: skip
        consumer.assign([TopicPartition(f"{self.group}-{topic}", p, 0) for p in range(self.partitions)])
        rows: list[Row] = []
        ended: set[int] = set()
        until = time.monotonic() + 60
        while len(ended) < self.partitions:
            assert time.monotonic() < until, f"{topic} could not be read to its end"
            for message in consumer.consume(5000, 0.5):
                if message.error() is None:
                    ended.discard(message.partition())
                    rows.append((message.partition(), message.offset(), message.key(), message.value()))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
        consumer.close()
        return rows

    def wait_for_outputs(self, deadline_s: float = 200) -> None:
        """Wait until every event has come out of the second agent; restart workers that died meanwhile."""
        expected = sum(self.truth_items.values())
        progress = [-1, time.monotonic()]

        def done() -> bool:
            assert not self.undelivered, (
                f"{len(self.undelivered)} events lost: {self.undelivered[0]}"
            )
            self.supervise()
            seen = len(self.read("iout"))
            if seen != progress[0]:
                progress[:] = [seen, time.monotonic()]
            quiet_s = time.monotonic() - progress[1]
            assert quiet_s < 120, f"stuck at {seen} of {expected} outputs\n{self.last_words()}"
            return seen >= expected

        wait_until(done, deadline_s, f"{expected} outputs")

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
