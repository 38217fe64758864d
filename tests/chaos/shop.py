"""One processing of a log by workers of the real topology: its settings, its feeder, its progress."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from confluent_kafka import KafkaException, Producer

from streams import topics
from streams.settings import Settings, load
from tests.chaos.events import Sent
from tests.chaos.processes import Workers
from tests.chaos.reading import COMMITTED, QUIET, Progress, ends, records
from tests.chaos.standing import Agent, standing
from tests.chaos.wire import Wire

SETTINGS = {
    "horizon": "5d",
    "landmark_interval": "2d",
    "hazard_step": "2d",
    "min_labels": "20",
    "slots": "64",
    "list_length": "5",
    "session_timeout": "6s",
    "rebalance_timeout": "30s",
    "revoke_deadline": "8s",
    "http_port": "0",
}
"""Of every worker: labels mature within a short log, no partner is evicted, the dead are noticed soon."""

_QUIET_S = 180


class Feeder(threading.Thread):
    """Sends the log in order, up to where it is allowed to.

    Parameters
    ----------
    bootstrap, topic
        Where to.
    log
        What to send.

    Attributes
    ----------
    allowed
        How many records it may send.
    rate
        Records a second at most; None sends what it may at once.
    """

    def __init__(self, bootstrap: str, topic: str, log: Sequence[Sent]) -> None:
        super().__init__(name="feeder", daemon=True)
        self._topic, self._log = topic, log
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5,
             "enable.idempotence": True, "message.timeout.ms": 600_000, "logger": QUIET}
        )  # fmt: skip
        self.allowed = self.sent = 0
        self.rate: float | None = None
        self.finished = False
        self.failures: list[str] = []

    def run(self) -> None:
        try:
            self._feed()
        except Exception as error:
            self.failures.append(repr(error))
            raise

    def _feed(self) -> None:
        while self.sent < len(self._log):
            if self.sent >= self.allowed:
                self._producer.poll(0.05)
                continue
            self._send(self._log[self.sent])
            self.sent += 1
            if self.sent % 20 == 0:
                self._pause(0 if self.rate is None else 20 / self.rate)
        if left := self._producer.flush(300):
            self.failures.append(f"{left} events were not taken")
        self.finished = True

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._producer.poll(0)
        while (left := until - time.monotonic()) > 0:
            self._producer.poll(left)  # returns with the first news

    def _send(self, record: Sent) -> None:
        partition = -1 if record.partition is None else record.partition
        while True:
            try:
                return self._producer.produce(
                    self._topic, record.value, record.key, partition, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)

    def _delivered(self, error: object, message: object) -> None:
        if error is not None:
            self.failures.append(str(error))


class ShopRun:
    """A log, a group of workers that process it, and the topics of their own.

    Parameters
    ----------
    name
        Group, and prefix of the topics.
    bootstrap
        The broker, as seen from here.
    directory
        For logs and lock files.
    log
        What to process.
    frozen
        The broadcast that all workers go by.
    wires
        The network between a worker and the broker, by worker; without one it is as seen from here.
    """

    def __init__(
        self,
        name: str,
        bootstrap: str,
        directory: Path,
        log: Sequence[Sent],
        *,
        frozen: Path,
        wires: Mapping[str, Wire] | None = None,
    ) -> None:
        self.name, self.bootstrap, self.log = name, bootstrap, log
        self.settings = settings_of(name, bootstrap, directory)
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        self._frozen, self._wires = frozen, wires or {}
        topics.ensure(self.settings)
        self.workers = Workers(self.directory, self._command, self._environment)
        self._progress = Progress(bootstrap, name, [agent.source for agent in self.agents])
        self.last_positions: dict[tuple[str, int], int] = {}
        self.feeder = Feeder(bootstrap, self.topic(topics.EVENTS), log)

    def topic(self, topic: topics.Topic) -> str:
        """Return the full name of a topic."""
        return topic.full_name(self.settings)

    @property
    def agents(self) -> list[Agent]:
        """Where the agents read and keep their state."""
        pairs = (
            (topics.EVENTS, topics.USERS_CHANGELOG),
            (topics.ITEM_PAIRS, topics.ITEMS_CHANGELOG),
            (topics.EXAMPLES, topics.TRAINER_CHANGELOG),
            (topics.RANK_EXAMPLES, topics.RANKER_CHANGELOG),
        )
        return [Agent(self.topic(source), self.topic(changelog)) for source, changelog in pairs]

    def _command(self, name: str) -> list[str | Path]:
        return [sys.executable, "-m", "tests.chaos.frozen", self._frozen]

    def _environment(self, name: str) -> dict[str, str]:
        wire = self._wires.get(name)
        chosen = SETTINGS | {
            "instance": name,
            "group": self.settings.engine.group,
            "topic_prefix": self.settings.broker.topic_prefix,
            "data_dir": str(self.settings.engine.data_dir),
            "bootstrap_servers": wire.address if wire else self.bootstrap,
            # Both ways of scaling down: leaving the group, and being missed after a while.
            "leave_on_stop": str(name[-1] in "02468").lower(),
        }
        return {f"KEEPSTREAM_{key.upper()}": value for key, value in chosen.items()}

    # -- progress

    def applied(self) -> int | None:
        """Return how many records of the log are applied and committed; None where nobody answers."""
        assert not self.feeder.failures, f"the broker did not take events: {self.feeder.failures[0]}"
        try:
            return self._committed()[self.topic(topics.EVENTS)]
        except KafkaException:
            return None

    def positions(self) -> dict[tuple[str, int], int]:
        """Return the committed offset of every source partition."""
        return self._progress.positions()

    def is_done(self) -> bool:
        """Return whether every record was applied, and everything that followed from it."""
        if not self.feeder.finished:
            return False
        positions = self.positions()
        for source, _ in self.agents:
            end = ends(self.bootstrap, source)
            starts = {p: positions[source, p] for p in end}
            if source == self.topic(topics.EVENTS) and starts != end:
                return False
            if ends(self.bootstrap, source, COMMITTED) != end:
                return False
            if any(records(self.bootstrap, source, starts=starts)):
                return False
        return True

    def wait_until_done(self, say: Callable[[str], None] = lambda _: None) -> dict[str, int]:
        """Wait until everything is applied; return the exit codes of workers that had to be started again.

        Raises
        ------
        AssertionError
            Nothing was applied for a long time; the message says where everybody stands.
        """
        seen: dict[str, int] = {}
        moved, ended = time.monotonic(), {}
        while True:
            assert not self.feeder.failures, f"events were not sent: {self.feeder.failures[0]}"
            ended |= self.workers.supervise()
            with suppress(KafkaException):
                if self.is_done():
                    return ended
                now = self._committed()
                if now != seen:
                    seen, moved = now, time.monotonic()
                    say(f"{now[self.topic(topics.EVENTS)]:,} of {len(self.log):,} records applied")
            assert time.monotonic() < moved + _QUIET_S, f"stuck\n{self.report()}"
            time.sleep(0.5)

    def _committed(self) -> Counter[str]:
        """Return the committed offsets of every source, added up."""
        self.last_positions = self._progress.positions(3)
        found: Counter[str] = Counter()
        for (topic, _), offset in self.last_positions.items():
            found[topic] += offset
        return found

    def stop(self) -> None:
        """Stop the workers as an operator does."""
        for name in self.workers.alive():
            code = self.workers.terminate(name)
            assert code == 0, f"{name} ended with {code}\n{self.workers.tail(name)}"

    def close(self) -> None:
        """End whatever runs."""
        self.workers.close()
        self._progress.close()

    def report(self) -> str:
        """Return where every partition, the group and every thread stands, and the workers' last words."""
        return f"{standing(self.bootstrap, self.name, self.agents)}\n{self.workers.last_words()}"


def settings_of(name: str, bootstrap: str, directory: Path) -> Settings:
    """Return the settings of a run, as its workers have them."""
    return load(
        environ={f"KEEPSTREAM_{key.upper()}": value for key, value in SETTINGS.items()},
        bootstrap_servers=bootstrap,
        topic_prefix=f"{name}.",
        group=name,
        data_dir=directory / name / "data",
    )
