"""A worker as a process, a stream of events with a known truth, and what the worker's lookups say of it."""

import collections
import json
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from streams import topics
from streams.settings import Settings

START_MS = 1_700_000_000_000
TOUCHES = ("select_item", "view_item", "add_to_wishlist", "add_to_cart", "purchase")
NAMES = (*TOUCHES, "view_item", "view_item", "login", "search", "my_own_event")


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = 180) -> None:
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until, f"{what} not within {deadline_s:.0f} s"
        time.sleep(0.05)


class Shop:
    """Sends events and knows what must come of them."""

    def __init__(self, settings: Settings, seed: int = 5) -> None:
        self.settings = settings
        self.random = random.Random(seed)
        self.event_counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.touches: collections.Counter[str] = collections.Counter()
        self.number = 0
        self.now_ms = START_MS
        self.accepted = self.duplicates = 0
        self.rejected: collections.Counter[str] = collections.Counter()
        self.bad_values: list[tuple[bytes | None, bytes | None]] = []
        self._sent: list[tuple[str, bytes]] = []
        self._producer = Producer(
            {"bootstrap.servers": settings.broker.bootstrap_servers, "partitioner": "murmur2_random",
             "enable.idempotence": True, "linger.ms": 5}
        )  # fmt: skip

    def send_events(self, count: int) -> None:
        """Send valid events of a few hundred users in time order, every tenth of them twice."""
        for _ in range(count):
            self.number += 1
            self.now_ms += self.random.randint(0, 2_000)
            user = f"user {int(self.random.paretovariate(1)) % 200}"
            name = self.random.choice(NAMES)
            event: dict[str, object] = {
                "event_id": f"e{self.number}",
                "event_name": name,
                "event_time": self.now_ms,
                "user_id": user,
            }
            if name in TOUCHES:
                items = self.random.sample(range(60), self.random.randint(1, 2))
                event["items"] = [{"item_id": f"sku/{i}", "item_category": f"c{i % 5}"} for i in items]
                self.touches.update(f"sku/{i}" for i in items)
            self.event_counts[user][name if name != "my_own_event" else "other"] += 1
            self._send(user.encode(), json.dumps(event).encode())
            self.accepted += 1
            if self.number % 10 == 0:
                self._send(user.encode(), json.dumps(event).encode())
                self.duplicates += 1
        assert self._producer.flush(60) == 0

    def send_bad(self, reason: str, value: bytes | None, key: bytes | None = b"k") -> None:
        self._send(key, value)
        self.rejected[reason] += 1
        self.bad_values.append((key, value))

    def flush(self) -> None:
        assert self._producer.flush(60) == 0

    def _send(self, key: bytes | None, value: bytes | None) -> None:
        self._producer.produce(topics.EVENTS.full_name(self.settings), value, key)
        self._producer.poll(0)

    def read(self, topic: topics.Topic) -> list:
        """Read a topic to its end, read committed."""
        consumer = Consumer(
            {"bootstrap.servers": self.settings.broker.bootstrap_servers, "group.id": "check",
             "isolation.level": "read_committed", "enable.partition.eof": True}
        )  # fmt: skip
        name = topic.full_name(self.settings)
        count = len(consumer.list_topics(name, 30).topics[name].partitions)
        consumer.assign([TopicPartition(name, number, 0) for number in range(count)])
        messages, ended, until = [], set(), time.monotonic() + 60
        while len(ended) < count:
            assert time.monotonic() < until, f"{name} could not be read to its end"
            for message in consumer.consume(5_000, 0.5):
                if message.error() is None:
                    messages.append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
        consumer.close()
        return messages


class WorkerProcess:
    """`keepstream worker` with its log."""

    def __init__(self, settings: Settings, directory: Path, name: str = "w1", **environment: str) -> None:
        self.settings, self.log = settings, directory / f"{name}.log"
        self._seen = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", "--http-port", "0",
                 "--instance", name, "--data-dir", str(directory / "data"),
                 "--group", settings.engine.group, "--topic-prefix", settings.broker.topic_prefix,
                 "--bootstrap-servers", settings.broker.bootstrap_servers],
                stdout=output, stderr=output, start_new_session=True,
                env={"PATH": "", "KEEPSTREAM_SESSION_TIMEOUT": "6s", **environment},
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self.log.read_bytes()[self._seen :].decode(errors="replace")

    @property
    def url(self) -> str:
        found: list[str] = []

        def listening() -> bool:
            assert self.process.poll() is None, self.said
            found.extend(re.findall(r"lookups at (http://\S+)", self.said))
            return bool(found)

        wait_until(listening, "the worker's address")
        return found[0]

    def ask(self, path: str) -> dict | None:
        """Return the JSON answer, None for a 404; 503 is asked again."""
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return None
                failure: urllib.error.URLError = error
            except urllib.error.URLError as error:
                failure = error
            assert time.monotonic() < until, f"{path}: {failure}"
            time.sleep(0.1)

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def judged(self) -> int:
        """Events accepted, dropped as duplicates and rejected by this process so far."""
        found = self.metrics()
        return int(
            sum(
                value
                for name, value in found.items()
                if name.startswith(
                    (
                        "keepstream_events_accepted_total",
                        "keepstream_events_duplicate_total",
                        "keepstream_events_rejected_total{",
                    )
                )
            )
        )

    def wait_until_read(self, topic: topics.Topic = topics.EVENTS) -> None:
        """Wait until this worker holds every partition of a topic and has applied it to its end."""
        name = topic.full_name(self.settings)
        consumer = Consumer(
            {"bootstrap.servers": self.settings.broker.bootstrap_servers, "group.id": "check"}
        )
        count = len(consumer.list_topics(name, 30).topics[name].partitions)
        ends = {
            number: consumer.get_watermark_offsets(TopicPartition(name, number), 30)[1]
            for number in range(count)
        }
        consumer.close()

        def read() -> bool:
            status = self.ask("/v1/status") or {}
            held = {p["partition"]: p for p in status["partitions"] if p["topic"] == name}
            return all(n in held and held[n]["open"] and held[n]["position"] >= ends[n] for n in ends)

        wait_until(read, f"the end of {name}")

    def user(self, user_id: str) -> dict | None:
        return self.ask(f"/v1/users/{urllib.parse.quote(user_id, safe='')}")

    def item(self, item_id: str) -> dict | None:
        return self.ask(f"/v1/items/{urllib.parse.quote(item_id, safe='')}")

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()


def workers(settings: Settings, directory: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Yield a function that starts workers; all of them are ended afterwards."""
    started: list[WorkerProcess] = []

    def start(name: str = "w1", **environment: str) -> WorkerProcess:
        started.append(WorkerProcess(settings, directory, name, **environment))
        return started[-1]

    yield start
    for worker in started:
        worker.close()
