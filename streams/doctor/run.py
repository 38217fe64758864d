"""One examination: asks, judges, and yields finding after finding."""

import platform
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version
from typing import Final

from streams import clients, topics
from streams.announce import Directory
from streams.cluster import Cluster
from streams.dead_letters import Letter
from streams.doctor import broker_checks, flow_checks
from streams.doctor.broker_checks import Head
from streams.doctor.finding import Finding
from streams.doctor.flow_checks import Standing
from streams.doctor.workers import Asked, ask
from streams.encode import read_dead_letter
from streams.errors import BrokerUnavailableError
from streams.excerpt import Place, Stretch, excerpt
from streams.model_history import ModelHistory
from streams.settings import Settings
from streams.topics import Topic

_HOUR_MS: Final = 3_600_000
_LETTERS: Final = 5_000
"""Dead letters read of a partition at most."""
_HEAD: Final = 2_000
_MARKERS: Final = 50
"""Offsets behind a position in which the next record is looked for: markers and aborted records lie there."""

_SOURCES: Final = {
    topics.EVENTS: topics.USERS_CHANGELOG,
    topics.ITEM_PAIRS: topics.ITEMS_CHANGELOG,
    topics.EXAMPLES: topics.TRAINER_CHANGELOG,
    topics.RANK_EXAMPLES: topics.RANKER_CHANGELOG,
}


def examine(settings: Settings, *, wait: timedelta, sample: int) -> Iterator[Finding]:
    """Yield one finding per check, in an order in which a later one rests on the earlier ones.

    Parameters
    ----------
    settings
        Where the broker is; with its address filled in.
    wait
        How long to wait for the broker.
    sample
        Newest events to look at in every partition.
    """
    began = time.monotonic()
    try:
        clients.wait_for_broker(settings.broker, wait, say=lambda _: None)
        with Cluster(settings) as cluster:
            took = (time.monotonic() - began) * 1000
            addresses = ", ".join(cluster.brokers())
            yield Finding("broker", "PASS", f"{addresses} answers ({took:.0f} ms)")
            yield from _Examination(settings, cluster, sample).findings()
    except BrokerUnavailableError as error:
        yield Finding(
            "broker",
            "FAIL",
            str(error),
            "Check bootstrap_servers, the network, and security_protocol, sasl_* and ssl_*.",
        )


class _Examination:
    def __init__(self, settings: Settings, cluster: Cluster, sample: int) -> None:
        self._settings, self._cluster, self._sample = settings, cluster, sample
        self._existing = topics.list_existing(settings)
        self._asked = self._workers()

    def findings(self) -> Iterator[Finding]:
        """Yield the findings behind the first."""
        settings, cluster = self._settings, self._cluster
        yield broker_checks.versions(_releases(), cluster.version(), self._asked)
        mismatches = topics.differences(settings, self._existing)
        uneven = broker_checks.co_partitioning(settings, self._existing)
        yield broker_checks.topics([one for one in mismatches if "partitions" not in one.explanation])
        yield uneven
        if uneven.verdict == "FAIL" or any("is missing" in one.explanation for one in mismatches):
            return  # the rest needs all of them
        yield broker_checks.partitions(cluster.copies(self._existing))
        yield broker_checks.clocks(cluster.ahead_ms(), self._asked)
        yield flow_checks.workers(self._asked, cluster.group(settings.engine.group))
        standings = self._standings()
        now_ms = time.time_ns() // 1_000_000
        yield flow_checks.lag(standings, now_ms)
        yield flow_checks.checkpoints(standings, now_ms)
        yield self._rejects(now_ms)
        yield self._producers()
        yield flow_checks.model(ModelHistory(settings))
        yield broker_checks.growth(self._heads(now_ms))

    def _workers(self) -> list[Asked]:
        if topics.WORKERS.full_name(self._settings) not in self._existing:
            return []
        directory = Directory()
        announced = self._cluster.stretches(self._places(topics.WORKERS))
        directory.take([(r.key or b"", r.value) for r in excerpt(self._settings, announced)])
        return ask(directory.workers(), self._settings)

    def _places(self, topic: Topic) -> list[Place]:
        name = topic.full_name(self._settings)
        return [Place(name, number) for number in range(self._existing[name].partitions)]

    def _standings(self) -> dict[Place, Standing]:
        """Return how far every source partition has been read."""
        sources = {
            place: changelog
            for source, log in _SOURCES.items()
            for place, changelog in zip(self._places(source), self._places(log), strict=True)
        }
        positions = {place: at for asked in self._asked for place, at in asked.positions.items()}
        positions |= self._cluster.committed(self._settings.engine.group)
        logs = self._cluster.stretches(sources)
        newest = self._cluster.newest(sources.values())
        waiting = self._waiting(logs, positions)
        return {
            place: Standing(log, positions.get(place), waiting.get(place), newest.get(sources[place]))
            for place, log in logs.items()
        }

    def _waiting(self, logs: dict[Place, Stretch], positions: dict[Place, int]) -> dict[Place, int]:
        """Return the timestamp of the first unapplied record of the partitions that have one."""
        unread = {}
        for place, log in logs.items():
            start = positions.get(place, log.start)
            if log.start <= start < log.end:
                unread[place] = Stretch(start, min(log.end, start + _MARKERS))
        found: dict[Place, int] = {}
        for record in excerpt(self._settings, unread):
            found.setdefault(Place(record.topic, record.partition), record.timestamp)
        return found

    def _rejects(self, now_ms: int) -> Finding:
        events = self._cluster.since(self._places(topics.EVENTS), now_ms - _HOUR_MS)
        letters = self._cluster.since(self._places(topics.DEAD_LETTERS), now_ms - _HOUR_MS)
        newest = {
            place: Stretch(max(stretch.start, stretch.end - _LETTERS), stretch.end)
            for place, stretch in letters.items()
        }
        found = [
            Letter(record, read_dead_letter(record.headers))
            for record in excerpt(self._settings, newest)
            if record.value is not None  # else the tombstone of an erased user's letters
        ]
        return flow_checks.rejects(
            Counter(letter.reason for letter in found),
            sum(end - start for start, end in events.values()),
            replays=sum(bool(letter.replay_of) for letter in found),
        )

    def _producers(self) -> Finding:
        places = self._places(topics.EVENTS)
        newest = {
            place: Stretch(max(log.start, log.end - self._sample), log.end)
            for place, log in self._cluster.stretches(places).items()
        }
        return flow_checks.producers(flow_checks.sampled(excerpt(self._settings, newest), len(places)))

    def _heads(self, now_ms: int) -> Iterator[Head]:
        sizes = self._cluster.sizes()
        for topic in topics.TOPICS:
            if not topic.compacted:
                continue
            logs = self._cluster.stretches(self._places(topic))
            longest = max(logs, key=lambda place: logs[place].end - logs[place].start)
            start, end = logs[longest]
            head = {longest: Stretch(start, min(end, start + _HEAD))}
            keys, records, youngest = set(), 0, 0
            for record in excerpt(self._settings, head):
                keys.add(record.key)
                records, youngest = records + 1, max(youngest, record.timestamp)
            name = topic.full_name(self._settings)
            written = sum(log.end - log.start for log in logs.values())
            age_s = (now_ms - youngest) / 1000 if records else 0.0
            yield Head(name, written, sizes.get(name), records, len(keys), age_s)


def _releases() -> dict[str, str]:
    packages = ("keepstream", "confluent-kafka", "faust-streaming", "aiokafka", "river")
    return {name: version(name) for name in packages} | {"Python": platform.python_version()}
