"""One agent on a broker, in this process: what the tests of the engine stand on."""

import asyncio
import logging
import uuid
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.engine.observer import Observer
from streams.engine.runner import create_app
from streams.engine.runtime import Runtime
from streams.engine.settings import EngineSettings
from tests.chaos.counting import Items


class Counts(Observer):
    """Remembers what the engine reported."""

    def __init__(self) -> None:
        self.commits = self.aborts = self.restores = self.rewinds = self.fences = self.gaps = 0
        self.fetches = 0
        self.lags: dict[object, int] = {}

    def committed(self, seconds, partitions, rows, outputs, size) -> None:
        self.commits += 1

    def aborted(self, reason) -> None:
        self.aborts += 1

    def restored(self, source, rows, seconds) -> None:
        self.restores += 1

    def rewound(self, source) -> None:
        self.rewinds += 1

    def fenced(self, reason) -> None:
        self.fences += 1

    def gap_accepted(self, source, records) -> None:
        self.gaps += records

    def lag(self, source, records) -> None:
        self.fetches += 1
        self.lags[source] = records


class Bench:
    """One agent that counts `mid` by key, in this process, on a broker."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self.bootstrap, self.directory = bootstrap, directory
        self.group = f"e{uuid.uuid4().hex[:8]}"
        self.config = {"bootstrap.servers": bootstrap, "logger": logging.getLogger("librdkafka")}
        self.admin = AdminClient(self.config)
        self.runtimes: list[Runtime] = []
        self.create("mid", "iout", "dlq", "items-changelog")

    def create(self, *names: str, **config: str) -> None:
        made = self.admin.create_topics([NewTopic(f"{self.group}-{n}", 1, 1, config=config) for n in names])
        for future in made.values():
            future.result(30)

    def send(self, count: int, first: int = 0) -> None:
        producer = Producer(self.config)
        for number in range(first, first + count):
            producer.produce(f"{self.group}-mid", b"%d" % number, f"i{number % 7}", 0)
        assert producer.flush(30) == 0

    async def start(self, handler=None, *, instance: str = "a", **settings) -> Runtime:
        app = create_app(
            self.group,
            f"kafka://{self.bootstrap}",
            instance=instance,
            datadir=self.directory,
            session_timeout_s=6.0,
        )
        runtime = Runtime(app, EngineSettings(instance, **settings), self.config, observer=Counts())
        runtime.agent(
            "items",
            f"{self.group}-mid",
            f"{self.group}-items-changelog",
            handler or (lambda p: Items(self.group, p, 1)),
        )
        self.runtimes.append(runtime)
        await app.start()
        return runtime

    async def stop(self, runtime: Runtime) -> None:
        if runtime in self.runtimes:
            self.runtimes.remove(runtime)
            await runtime.stop()
            await asyncio.wait_for(runtime.app.stop(), 30)

    def outputs(self) -> list[bytes]:
        return self.values("iout")

    def values(self, topic: str, start: int = 0) -> list[bytes]:
        consumer = Consumer(
            {
                **self.config,
                "group.id": "check",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        consumer.assign([TopicPartition(f"{self.group}-{topic}", 0, start)])
        values: list[bytes] = []
        while True:
            message = consumer.poll(10)
            assert message is not None, f"{topic} could not be read to its end"
            if message.error() is not None:
                consumer.close()
                return values
            values.append(message.value())

    def end(self, topic: str = "mid") -> int:
        consumer = Consumer({**self.config, "group.id": "check"})
        try:
            return consumer.get_watermark_offsets(TopicPartition(f"{self.group}-{topic}", 0), 10)[1]
        finally:
            consumer.close()


async def until(condition, what: str, deadline_s: float = 90) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.02)


def counts(runtime: Runtime) -> Counts:
    assert isinstance(runtime.observer, Counts)
    return runtime.observer


def only(runtime: Runtime):
    (partition,) = runtime.partitions()
    return partition
