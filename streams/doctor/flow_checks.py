"""Judging the flow: workers, lag, checkpoints, rejects, producers. Pure functions from facts to findings."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, cast

import msgspec

from online_models.events import RejectReason
from streams.cluster import Group
from streams.doctor.finding import Finding, duration_in_words
from streams.doctor.workers import Asked
from streams.excerpt import Place, Stretch
from streams.follow import Followed
from streams.model_history import ModelHistory
from streams.reject_reasons import ADVICE

_LATE_S: Final = 60.0
_STUCK_S: Final = 600.0
_MANY_REJECTS: Final = 0.05
_MOST_REJECTED: Final = 0.2
_FEW: Final = 100
"""Below so many events a broken producer cannot be told from a single bad event."""


def workers(asked: Sequence[Asked], group: Group) -> Finding:
    """Judge whether workers run, answer and are ready."""
    if not asked:
        # A member that was killed stays in its group until its session ends, on the embedded broker for ever.
        members = f"; the group remembers {', '.join(group.members)}" if group.members else ""
        return Finding(
            "workers", "FAIL", f"no worker has announced itself{members}", "Start one: `keepstream worker`."
        )
    silent = [f"{one.instance} at {one.url} {one.trouble}" for one in asked if one.status is None]
    waiting = [
        f"{one.instance} waits for: {', '.join(one.status['waiting_for'])}"
        for one in asked
        if one.status is not None and not one.status["ready"]
    ]
    answering = len(asked) - len(silent)
    if silent and not answering:
        return Finding(
            "workers",
            "FAIL",
            "; ".join(silent),
            "Start it again; if it runs, look at its log, its address and KEEPSTREAM_API_TOKEN.",
        )
    if silent or waiting:
        return Finding(
            "workers",
            "WARN",
            "; ".join(silent + waiting),
            "A worker that was killed is listed until it comes back under its name; one that waits restores.",
        )
    names = ", ".join(one.instance for one in asked)
    return Finding("workers", "PASS", f"{answering} ready ({names}), group {group.state}")


class Standing(NamedTuple):
    """How far a source partition has been read.

    Parameters
    ----------
    log
        What the broker holds.
    position
        Offset up to which it is applied and committed; None where nothing ever was.
    waiting_since_ms
        Timestamp of the first record that is not applied; None where nothing waits.
    checkpoint_ms
        When its changelog was last written; None where it never was.
    """

    log: Stretch
    position: int | None
    waiting_since_ms: int | None
    checkpoint_ms: int | None

    @property
    def behind(self) -> int:
        """Offsets between position and end."""
        return self.log.end - (self.log.start if self.position is None else self.position)

    @property
    def lost(self) -> bool:
        """Whether the log no longer holds the position."""
        return self.position is not None and not self.log.start <= self.position <= self.log.end


def lag(standings: Mapping[Place, Standing], now_ms: int) -> Finding:
    """Judge how long the oldest unapplied record has been waiting."""
    lost = {place: one for place, one in standings.items() if one.lost}
    if lost:
        place, one = next(iter(sorted(lost.items())))
        return Finding(
            "lag",
            "FAIL",
            f"{place.topic}[{place.partition}] stands at {one.position}, the log holds {one.log.start} to "
            f"{one.log.end}",
            "Events are missing: see 'A lost position' in docs/operations.md before any --accept-gap.",
        )
    waits = {p: now_ms - one.waiting_since_ms for p, one in standings.items() if one.waiting_since_ms}
    if not waits:
        return Finding("lag", "PASS", f"everything is applied in {len(standings)} source partitions")
    place = max(waits, key=lambda one: waits[one])
    seconds = max(0.0, waits[place] / 1000)
    records = sum(standings[one].behind for one in waits)
    found = (
        f"{records:,} records wait, the oldest for {duration_in_words(seconds)} in "
        f"{place.topic}[{place.partition}]"
    )
    if seconds < _LATE_S:
        return Finding("lag", "PASS", found)
    return Finding(
        "lag",
        "WARN" if seconds < _STUCK_S else "FAIL",
        found,
        "While a replay or a restart is being caught up this falls by itself; else add workers, up to the "
        "number of partitions, or look at their logs.",
    )


def checkpoints(standings: Mapping[Place, Standing], now_ms: int) -> Finding:
    """Judge the age of the state: what waits should be committed within seconds."""
    newest = max((one.checkpoint_ms for one in standings.values() if one.checkpoint_ms), default=None)
    stale = {
        place: now_ms - (one.checkpoint_ms or one.waiting_since_ms)
        for place, one in standings.items()
        if one.waiting_since_ms is not None
        and now_ms - one.waiting_since_ms > _LATE_S * 1000
        and now_ms - (one.checkpoint_ms or one.waiting_since_ms) > _LATE_S * 1000
    }
    if stale:
        place = max(stale, key=lambda one: stale[one])
        age = duration_in_words(stale[place] / 1000)
        return Finding(
            "checkpoints",
            "FAIL",
            f"records wait in {len(stale)} partitions whose state stands still: {place.topic}"
            f"[{place.partition}] was last committed {age} ago",
            "Is the partition owned (check workers)? Then its worker's log says why nothing is committed.",
        )
    if newest is None:
        return Finding("checkpoints", "PASS", "there is no state yet, and nothing waits")
    age = duration_in_words(max(0, now_ms - newest) / 1000)
    return Finding("checkpoints", "PASS", f"last commit {age} ago, and nothing waits for one")


def rejects(reasons: Counter[str], events: int, *, replays: int = 0) -> Finding:
    """Judge the dead letters of the last hour against the events of that hour."""
    letters = reasons.total()
    again = f", {replays:,} of them after a replay" if replays else ""
    if not letters:
        return Finding("rejects", "PASS", f"none of {events:,} events of the last hour")
    share = letters / max(events, letters)
    listed = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(4))
    found = f"{letters:,} of {events:,} events of the last hour ({share:.1%}): {listed}{again}"
    advice = ADVICE.get(cast("RejectReason", reasons.most_common(1)[0][0]))
    remedy = f"{advice.remedy if advice else ''} `keepstream dlq list --since 1h` shows them.".strip()
    if max(events, letters) >= _FEW and share >= _MANY_REJECTS:
        return Finding("rejects", "FAIL" if share >= _MOST_REJECTED else "WARN", found, remedy)
    if reasons["poison"]:
        return Finding("rejects", "WARN", found, "A poisoned event is a bug: `keepstream dlq show` has it.")
    return Finding("rejects", "PASS", found)


def model(history: ModelHistory) -> Finding:
    """Judge which model users are scored with."""
    newest, pin = history.newest, history.pin
    if pin is not None:
        said = f" ({pin.reason})" if pin.reason else ""
        return Finding(
            "model",
            "WARN",
            f"{pin.snapshot.model_version} is pinned{said}; the newest is "
            f"{newest.model_version if newest else 'none'}",
            "`keepstream model list` shows whether the newest is good again, `model resume` goes back to it.",
        )
    if newest is None:
        return Finding("model", "PASS", "none yet: labels mature after the horizon")
    return Finding("model", "PASS", f"{newest.model_version} after {newest.examples:,} labels")


class Producers(NamedTuple):
    """What a sample of events tells of those who wrote them.

    Parameters
    ----------
    records
        Events looked at.
    keyless
        Those without a key.
    elsewhere
        Those with a key that murmur2 puts into another partition.
    subjects
        Different users and visitors among them.
    torn
        Users and visitors seen in more than one partition.
    """

    records: int
    keyless: int
    elsewhere: int
    subjects: int
    torn: int


class _Subject(msgspec.Struct):
    """Whose event it is."""

    user_id: str | None = None
    anonymous_id: str | None = None


def sampled(records: Iterable[Followed], partitions: int) -> Producers:
    """Return what a sample of events tells of their producers.

    Parameters
    ----------
    records
        Of all partitions of the event topic.
    partitions
        How many it has.
    """
    from kafka.partitioner.default import murmur2  # noqa: PLC0415  # slow to import

    decoder = msgspec.json.Decoder(_Subject)
    count = keyless = elsewhere = 0
    seen: dict[str, set[int]] = {}
    for record in records:
        count += 1
        if record.key is None:
            keyless += 1
        elif (murmur2(record.key) & 0x7FFFFFFF) % partitions != record.partition:
            elsewhere += 1
        try:
            found = decoder.decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        subject = f"u:{found.user_id}" if found.user_id else f"a:{found.anonymous_id or ''}"
        if subject != "a:":
            seen.setdefault(subject, set()).add(record.partition)
    torn = sum(len(where) > 1 for where in seen.values())
    return Producers(count, keyless, elsewhere, len(seen), torn)


_PARTITIONER: Final = (
    "Let every producer key events by user_id with the murmur2 partitioner; librdkafka needs "
    "partitioner=murmur2_random. See 'Keys and partitions' in docs/events.md."
)


def producers(sample: Producers) -> Finding:
    """Judge whether every user's events arrive in one partition."""
    if not sample.records:
        return Finding("producers", "PASS", "no events to look at")
    looked = f"the newest {sample.records:,} events"
    if sample.torn:
        return Finding(
            "producers",
            "FAIL",
            f"{looked}: {sample.torn:,} of {sample.subjects:,} users are in two partitions or more, "
            "with a state in each",
            _PARTITIONER,
        )
    if sample.elsewhere or sample.keyless:
        return Finding(
            "producers",
            "WARN",
            f"{looked}: {sample.keyless:,} have no key and {sample.elsewhere:,} lie where murmur2 would not "
            "have put them; no user is in two partitions yet",
            _PARTITIONER,
        )
    return Finding("producers", "PASS", f"{looked}, {sample.subjects:,} users, each in one partition")
