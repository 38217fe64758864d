"""Judging the broker: versions, topics, copies, clocks, growth. Pure functions from facts to findings."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from streams.cluster import Copies
from streams.doctor.finding import Finding, duration_in_words
from streams.doctor.workers import Asked
from streams.excerpt import Place
from streams.settings import Settings
from streams.topics import EVENTS, TOPICS, Existing, Mismatch, partition_count

_ODD_S: Final = 2.0
_WRONG_S: Final = 30.0
_GROWN: Final = 0.5
_CLEANED_AFTER_S: Final = 6 * 3_600
"""A closed segment (an hour old) is compacted within minutes; this is generous."""
_MANY: Final = 1_000_000


def versions(ours: Mapping[str, str], broker: str, workers: Sequence[Asked]) -> Finding:
    """Compare the releases that run."""
    shown = ", ".join(f"{name} {version}" for name, version in ours.items())
    shown += f", broker speaks Kafka {broker}" if broker else ", the broker does not tell its version"
    theirs = {asked.instance: asked.status.get("version", "?") for asked in workers if asked.status}
    others = {name: version for name, version in theirs.items() if version != ours["keepstream"]}
    if others:
        listed = ", ".join(f"{name} runs {version}" for name, version in sorted(others.items()))
        return Finding(
            "versions", "WARN", f"{shown}; {listed}", "Bring all workers and this command to one release."
        )
    return Finding("versions", "PASS", shown)


def topics(mismatches: Sequence[Mismatch]) -> Finding:
    """Judge how the topics differ from the table, the numbers of partitions apart."""
    if not mismatches:
        return Finding("topics", "PASS", f"all {len(TOPICS)} are there and configured as they should be")
    missing = [one.topic for one in mismatches if "is missing" in one.explanation]
    others = [f"{one.topic} {one.explanation}" for one in mismatches if one.topic not in missing]
    if missing:
        others.insert(0, f"{len(missing)} of {len(TOPICS)} are missing: {', '.join(missing)}")
    listed = "; ".join(others)
    if any(mismatch.fatal for mismatch in mismatches):
        return Finding(
            "topics",
            "FAIL",
            listed,
            "`keepstream topics create` makes what is missing; mend the others as they say.",
        )
    return Finding("topics", "WARN", listed, "Set it at the broker (kafka-configs.sh), or in the settings.")


def partitions(copies: Mapping[Place, Copies]) -> Finding:
    """Judge leaders and copies of every partition."""
    leaderless = [place for place, one in copies.items() if not one.led]
    short = [place for place, one in copies.items() if one.led and one.in_step < one.copies]
    if leaderless:
        return Finding(
            "partitions",
            "FAIL",
            f"without a leader: {_listed(leaderless)}",
            "Start the brokers that hold them; until then nothing is read or written there.",
        )
    if short:
        return Finding(
            "partitions",
            "WARN",
            f"copies out of step: {_listed(short)}",
            "A broker is down or slow; one more failure may stop writing.",
        )
    number = min((one.copies for one in copies.values()), default=0)
    return Finding("partitions", "PASS", f"{len(copies)} partitions are led, all copies in step ({number})")


def co_partitioning(settings: Settings, existing: Mapping[str, Existing]) -> Finding:
    """Judge whether topics that share a key have the same number of partitions."""
    wrong = []
    for topic in TOPICS:
        found = existing.get(topic.full_name(settings))
        wanted = partition_count(topic, settings, existing)
        if found is not None and found.partitions != wanted:
            wrong.append(f"{topic.full_name(settings)} has {found.partitions} instead of {wanted}")
    if wrong:
        return Finding(
            "co-partitioning",
            "FAIL",
            "; ".join(wrong),
            "State and outputs of a user lie under the number of the event partition: make these topics anew "
            "while no worker runs, or use another topic_prefix.",
        )
    count = partition_count(EVENTS, settings, existing)
    return Finding("co-partitioning", "PASS", f"{count} partitions in every topic keyed like the events")


def clocks(broker_ahead_ms: float | None, workers: Sequence[Asked]) -> Finding:
    """Judge clocks against the one of this machine."""
    ahead = {asked.instance: asked.ahead_s for asked in workers if asked.status}
    if broker_ahead_ms is not None:
        ahead["the broker"] = broker_ahead_ms / 1000
    off = {name: seconds for name, seconds in ahead.items() if abs(seconds) > _ODD_S}
    if off:
        listed = ", ".join(
            f"{name} is {duration_in_words(abs(seconds))} {'ahead' if seconds > 0 else 'behind'}"
            for name, seconds in sorted(off.items())
        )
        worst = max(map(abs, off.values()))
        return Finding(
            "clocks",
            "FAIL" if worst > _WRONG_S else "WARN",
            f"seen from this machine {listed}",
            "Run a time service (NTP) on every machine: events are judged by the broker's clock, and live "
            "checks of users run by the workers'.",
        )
    if broker_ahead_ms is None:
        return Finding(
            "clocks",
            "WARN",
            "the broker's clock could not be compared: it took no record into the probe topic, or stamped it "
            "with ours",
            "Let this user write to the probe topic, with message.timestamp.type=LogAppendTime.",
        )
    compared = ["the broker", *(asked.instance for asked in workers if asked.status)]
    return Finding("clocks", "PASS", f"no different from this machine's: {', '.join(compared)}")


class Head(NamedTuple):
    """The oldest records of a compacted topic's longest partition.

    Parameters
    ----------
    topic
        Full name.
    written
        Records of all its partitions, counted by offsets.
    size
        Bytes on all brokers; None where unknown.
    records, keys
        How many were looked at, and how many keys they have.
    age_s
        Age of the youngest of them, seconds.
    """

    topic: str
    written: int
    size: int | None
    records: int
    keys: int
    age_s: float

    @property
    def superseded(self) -> float:
        """Share of the oldest records that a later one has replaced."""
        return 1 - self.keys / self.records if self.records else 0.0


def growth(heads: Iterable[Head]) -> Finding:
    """Judge whether compacted topics are really compacted."""
    heads = list(heads)
    grown = [
        head
        for head in heads
        if head.superseded > _GROWN and (head.age_s > _CLEANED_AFTER_S or head.written > _MANY)
    ]
    if grown:
        worst = max(grown, key=lambda head: head.written)
        size = "" if worst.size is None else f", {worst.size / 1e6:,.0f} MB"
        return Finding(
            "growth",
            "WARN",
            f"{worst.topic} holds {worst.written:,} records{size}, and {worst.superseded:.0%} of its oldest "
            f"{worst.records:,} are superseded: it is not compacted",
            "A restart reads all of it. The embedded broker never compacts: use Apache Kafka for good. On "
            "Apache Kafka look at the log cleaner (log.cleaner.enable, its log).",
        )
    written = sum(head.written for head in heads)
    sizes = [head.size for head in heads if head.size is not None]
    bytes_ = f", {sum(sizes) / 1e6:,.1f} MB" if sizes else ""
    return Finding("growth", "PASS", f"compacted topics: {written:,} records written{bytes_}")


def _listed(places: Sequence[Place]) -> str:
    shown = ", ".join(f"{topic}[{number}]" for topic, number in sorted(places)[:5])
    return shown + (f" and {len(places) - 5} more" if len(places) > 5 else "")
