"""How the topics of a broker differ from the table."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streams.settings import Settings
from streams.topics.table import EVENTS, LEAST_DELETE_RETENTION_MS, TOPICS, Topic


class Existing(NamedTuple):
    """A topic as the broker has it."""

    partitions: int
    configs: Mapping[str, str]


class Mismatch(NamedTuple):
    """A difference between the table and the broker; a fatal one must be mended before a worker starts."""

    topic: str
    explanation: str
    fatal: bool


def partition_count(topic: Topic, settings: Settings, existing: Mapping[str, Existing]) -> int:
    """Return how many partitions a topic must have: those of the event topic where it exists already."""
    if topic.partitions == "one":
        return 1
    events = existing.get(EVENTS.full_name(settings))
    return events.partitions if events else settings.topics.events_partitions


def differences(settings: Settings, existing: Mapping[str, Existing]) -> list[Mismatch]:
    """Return how the broker's topics differ from the table, missing ones included.

    >>> differences(Settings(), {})[0].explanation
    'is missing; `keepstream topics create` makes it'
    """
    found = []
    for topic in TOPICS:
        name = topic.full_name(settings)
        if name not in existing:
            found.append(Mismatch(name, "is missing; `keepstream topics create` makes it", fatal=True))
        else:
            found += _partition_mismatch(topic, settings, existing)
            found += _config_mismatches(topic, settings, existing[name])
    return found


def _partition_mismatch(
    topic: Topic, settings: Settings, existing: Mapping[str, Existing]
) -> Iterable[Mismatch]:
    name = topic.full_name(settings)
    has, wanted = existing[name].partitions, partition_count(topic, settings, existing)
    configured = settings.topics.events_partitions
    if topic is EVENTS and has != configured:
        explanation = (
            f"has {has} partitions; the setting events_partitions says {configured}, the topic counts"
        )
        yield Mismatch(name, explanation, fatal=False)
    elif has != wanted:
        reason = (
            "it is written in one order"
            if topic.partitions == "one"
            else f"like {EVENTS.full_name(settings)}; its records lie where that number put them: "
            "make it anew while no worker runs, or use another topic_prefix"
        )
        yield Mismatch(name, f"has {has} partitions and must have {wanted}, {reason}", fatal=True)


def _config_mismatches(topic: Topic, settings: Settings, existing: Existing) -> Iterable[Mismatch]:
    name = topic.full_name(settings)
    for key, wanted in topic.configs(settings).items():
        has = existing.configs.get(key, wanted)
        if set(has.split(",")) == set(wanted.split(",")):
            continue
        danger = _danger(topic, key, has)
        reason = f"; {danger}" if danger else _consequence(key, has, wanted)
        yield Mismatch(name, f"has {key} = {has} instead of {wanted}{reason}", fatal=bool(danger))


def _danger(topic: Topic, key: str, has: str) -> str:
    """Return what state would be lost or wrong by a configuration, "" where it costs space or freshness."""
    if topic.compacted and key == "cleanup.policy" and "delete" in has:
        return "records would be lost by age"
    too_short = key == "delete.retention.ms" and int(has) < LEAST_DELETE_RETENTION_MS
    if topic.compacted and topic.internal and too_short:
        return "a restore could miss a deletion and bring back what was erased"
    return ""


def _consequence(key: str, has: str, wanted: str) -> str:
    if key == "cleanup.policy" and "compact" in wanted and "compact" not in has:
        return "; what an erased user has in it stays as long as everything else"
    if key == "delete.retention.ms" and int(has) < int(wanted):
        return "; a reader that was away for longer misses a deletion"
    if key == "max.compaction.lag.ms" and int(has) > int(wanted):
        return "; an erased user's rows may stay in the log that long"
    return ""
