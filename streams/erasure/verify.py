"""Waiting until a worker has applied an erasure, and reading the topics to see what is gone."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from online_models.churn.labels import ROW_PREFIX as LABEL_ROWS
from online_models.experiments.follower import ROW_PREFIX as EXPERIMENT_ROWS
from online_models.items.shown import ROW_PREFIX as SHOWN_ROWS
from online_models.winback.open_decisions import ROW_PREFIX as DECISION_ROWS
from streams import clients, topics
from streams.encode import read_dead_letter
from streams.engine.restore import POSITION_KEY, decode_position
from streams.erasure.deadlines import Limits
from streams.erasure.request import Sent
from streams.erasure.traces import State, Trace
from streams.errors import BrokerUnavailableError, ErasureError
from streams.follow import Followed, Follower
from streams.settings import Settings
from streams.topics import (
    ALERTS,
    DEAD_LETTERS,
    EVENTS,
    EXAMPLES,
    INTERVENTIONS,
    PROFILES,
    RECOMMENDATIONS,
    SCORES,
    USERS_CHANGELOG,
    Topic,
)

_POLL_S: Final = 0.2
_SAY_S: Final = 2.0
_ASK_S: Final = 10.0

_DELETED_FROM: Final = (USERS_CHANGELOG, SCORES, PROFILES, DEAD_LETTERS)

Say = Callable[[str], None]
Ends = Mapping[tuple[str, int], int]


class Finding(NamedTuple):
    """What became of one kind of record.

    Parameters
    ----------
    topic
        Full name of the topic.
    what
        What lies there.
    state
        What became of it.
    by
        When its content is gone at the latest, epoch milliseconds; None where it is gone already, or stays.
    id_by
        When the last record with the user's id in its key is gone as well; None as for `by`.
    note
        What else is to be said, "" for nothing.
    """

    topic: str
    what: str
    state: State
    by: int | None = None
    id_by: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Standing:
    """Who is erased, and what was there before it was asked for.

    Parameters
    ----------
    user
        The user_id, or the anonymous_id.
    subject
        With its prefix.
    ends
        Ends of the partitions of the topics that are read, from before the event was sent.
    """

    user: str
    subject: str
    ends: Ends


def ends_of(settings: Settings) -> Ends:
    """Return the present ends of the partitions of the topics in which an erasure leaves tombstones.

    Raises
    ------
    BrokerUnavailableError
        If the broker does not tell them in time.
    """
    from confluent_kafka import Consumer, KafkaException  # noqa: PLC0415  # loads librdkafka

    config = {"group.id": "keepstream-erase", "log_level": 0}
    consumer = Consumer(clients.confluent(settings.broker, **config))
    until = time.monotonic() + _ASK_S
    try:
        while True:
            try:
                return _ends(consumer, [topic.full_name(settings) for topic in _DELETED_FROM])
            except KafkaException as error:
                # Partitions between two leaders have an end again in a moment.
                if time.monotonic() > until:
                    raise BrokerUnavailableError(f"ends of topics: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _ends(consumer: Any, names: Sequence[str]) -> Ends:
    from confluent_kafka import TopicPartition  # noqa: PLC0415  # loads librdkafka

    return {
        (name, number): consumer.get_watermark_offsets(TopicPartition(name, number), _ASK_S)[1]
        for name in names
        for number in consumer.list_topics(name, _ASK_S).topics[name].partitions
    }


def verify(
    settings: Settings, sent: Sent, standing: Standing, *, timeout_s: float, say: Say
) -> list[Finding]:
    """Return what became of everything that Keepstream holds of a user, by topic.

    Parameters
    ----------
    settings
        Where the broker is.
    sent
        The event that asked for the erasure.
    standing
        Who is erased, and what was there before.
    timeout_s
        How long to wait for a worker, seconds.
    say
        Told now and then what is waited for.

    Raises
    ------
    ErasureError
        If no worker has applied the event in time, or it was rejected.
    """
    existing = topics.list_existing(settings)
    cleaner = topics.compacts(settings)
    limits = {name: Limits.of(found.configs, cleaner=cleaner) for name, found in existing.items()}
    find = _Finder(settings, sent, standing, limits, timeout_s)
    state = find.state(say)
    say("applied; reading scores and dead letters")
    newest = [find.newest(SCORES, "last score"), find.newest(PROFILES, "stage and segment")]
    return [*state, *newest, *find.letters(), *find.by_retention()]


class _Finder:
    """Looks into one topic after another."""

    def __init__(
        self,
        settings: Settings,
        sent: Sent,
        standing: Standing,
        limits: Mapping[str, Limits],
        timeout_s: float,
    ) -> None:
        self._settings, self._sent, self._standing, self._limits = settings, sent, standing, limits
        self._timeout_s = timeout_s

    def state(self, say: Say) -> list[Finding]:
        """Follow the changelog until the erasure is part of the state, and find the user's rows in it."""
        name = USERS_CHANGELOG.full_name(self._settings)
        kinds = {
            self._standing.subject.encode(): "profile, alerts",
            LABEL_ROWS + self._standing.subject.encode(): "pending labels",
            DECISION_ROWS + self._standing.subject.encode(): "open win-back decision",
            EXPERIMENT_ROWS + self._standing.subject.encode(): "part in experiments",
            SHOWN_ROWS + self._standing.subject.encode(): "list that was shown",
        }
        traces = {key: self._trace(name, key) for key in kinds}
        erased_from = self._follow_state(name, traces, say)
        return [self._deleted(name, what, traces[key].state(erased_from)) for key, what in kinds.items()]

    def _follow_state(self, name: str, traces: Mapping[bytes, Trace], say: Say) -> int:
        """Read the changelog until its position lies behind the erasure; return where rows after it begin."""
        position, erased_from = -1, self._standing.ends[name, self._sent.partition]
        said = began = time.monotonic()
        with Follower(self._settings, [name], "beginning", partition=self._sent.partition) as follower:
            while position <= self._sent.offset or not follower.caught_up:
                for record in follower.poll(_POLL_S):
                    if record.key == POSITION_KEY and record.value is not None:
                        position = decode_position(record.value)
                        if position <= self._sent.offset:
                            # Rows lie before the position of their transaction.
                            erased_from = max(erased_from, record.offset + 1)
                    elif (trace := traces.get(record.key or b"")) is not None:
                        trace.see(record.offset, record.value)
                now = time.monotonic()
                if now - began > self._timeout_s:
                    raise ErasureError(f"not applied in time: {self._where(position)}; is a worker running?")
                if now - said > _SAY_S:
                    said = now
                    say(f"waiting for a worker: {self._where(position)}")
        return erased_from

    def newest(self, topic: Topic, what: str) -> Finding:
        """Look for the user's row in a compacted output."""
        name = topic.full_name(self._settings)
        trace = self._trace(name, self._standing.subject.encode())
        for record in self._read(name, self._sent.partition):
            if record.key == trace.key:
                trace.see(record.offset, record.value)
        return self._deleted(name, what, trace.state())

    def letters(self) -> list[Finding]:
        """Look for dead letters under the user's id, and for others that name it."""
        name = DEAD_LETTERS.full_name(self._settings)
        trace = self._trace(name, self._standing.user.encode())
        others, newest = 0, 0
        for record in self._read(name, None):
            self._refuse_rejected(record)
            if record.key == trace.key and record.partition == self._sent.partition:
                trace.see(record.offset, record.value)
            elif self._names(record):
                others, newest = others + 1, max(newest, record.timestamp)
        findings = [self._deleted(name, "dead letters under the id", trace.state())]
        if others:
            by = self._limits[name].gone_by(newest)
            what = f"{others} dead letters under other keys"
            findings.append(Finding(name, what, "leaves" if by else "stays", by, by))
        return findings

    def by_retention(self) -> list[Finding]:
        """Say when what lies in the log as history has left it."""
        places: tuple[tuple[Topic, str, str], ...] = (
            (EVENTS, "events", ""),
            (RECOMMENDATIONS, "lists", ""),
            (ALERTS, "alerts", ""),
            (INTERVENTIONS, "win-back decisions", ""),
            (EXAMPLES, "training examples", "hold a hash of the id, not the id"),
        )
        found = []
        for topic, what, note in places:
            name = topic.full_name(self._settings)
            by = self._limits[name].gone_by(self._sent.timestamp)
            found.append(Finding(name, what, "leaves" if by else "stays", by, by, note))
        return found

    def _deleted(self, name: str, what: str, state: State) -> Finding:
        if state in {"gone", "present"}:
            return Finding(name, what, state)
        # The tombstone was written after the event was taken: counting from now on errs to the late side.
        now_ms = max(self._sent.timestamp, time.time_ns() // 1_000_000)
        limits = self._limits[name]
        note = "something new has come since" if state == "replaced" else ""
        return Finding(name, what, state, limits.replaced_by(now_ms), limits.tombstone_by(now_ms), note)

    def _trace(self, name: str, key: bytes) -> Trace:
        return Trace(key, self._standing.ends[name, self._sent.partition])

    def _read(self, name: str, partition: int | None) -> Iterator[Followed]:
        """Yield the records that a topic holds now."""
        moved = time.monotonic()
        with Follower(self._settings, [name], "beginning", partition=partition) as follower:
            while not follower.caught_up:
                found = follower.poll(_POLL_S)
                yield from found
                moved = time.monotonic() if found else moved
                if time.monotonic() - moved > self._timeout_s:
                    raise ErasureError(f"{name} could not be read to its end in time")

    def _names(self, record: Followed) -> bool:
        """Return whether a record has the id as a JSON text in its value."""
        value = record.value or b""
        user = self._standing.user
        return any(json.dumps(user, ensure_ascii=escaped).encode() in value for escaped in (True, False))

    def _refuse_rejected(self, record: Followed) -> None:
        letter = read_dead_letter(record.headers)
        if letter is not None and letter[2:5] == self._sent[:3]:
            raise ErasureError(f"the erasure was rejected as {letter.reason}: {letter.message}")

    def _where(self, position: int) -> str:
        stands = f"stands at {position}" if position >= 0 else "has no state yet"
        return f"{self._sent.topic}[{self._sent.partition}] {stands}, the erasure lies at {self._sent.offset}"
