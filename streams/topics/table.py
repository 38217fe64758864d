"""The one table of topics: names, partitions, retention and purpose are written nowhere else."""

from dataclasses import dataclass
from typing import Final, Literal

from streams.settings import FOREVER, Settings, milliseconds

MAX_INTERNAL_BYTES: Final = 8 * 2**20
"""Largest record of the topics whose records workers put together: columns of a batch, model snapshots."""

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
LEAST_DELETE_RETENTION_MS: Final = _HOUR_MS
"""A tombstone must outlive the longest reading of a compacted topic that began before it was cleaned."""

_STATE: Final = {
    # Small segments, rolled hourly: only closed ones are compacted, and a restore reads all of the rest.
    "segment.bytes": str(64 * 2**20),
    "segment.ms": str(_HOUR_MS),
    "min.cleanable.dirty.ratio": "0.2",
    # What was replaced or deleted goes within a day, however little else changed: an erasure has a deadline.
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": str(_DAY_MS),
    # A restore reads from begin to end in one go: only one that takes longer could miss a deletion.
    "delete.retention.ms": str(_DAY_MS),
}
# Whoever follows an output may be away for a week and still learns of every deletion.
_OUTPUT: Final = _STATE | {"delete.retention.ms": str(7 * _DAY_MS)}
_LETTERS: Final = {
    "min.cleanable.dirty.ratio": "0.2",
    # A week to look: until then even the letters of one key are all there.
    "min.compaction.lag.ms": str(7 * _DAY_MS),
    "max.compaction.lag.ms": str(8 * _DAY_MS),
    "delete.retention.ms": str(_DAY_MS),
}


@dataclass(frozen=True)
class Topic:
    """One line of the table.

    Parameters
    ----------
    name
        Name without the prefix.
    purpose
        What it holds, in a few words.
    key, value
        What key and value are; the value names its schema where it has one.
    partitions
        ``"events"``: as many as the event topic; ``"one"``: a single one.
    retention
        The setting that says how long records stay; None keeps the newest record of every key for ever.
    internal
        Whether only workers read and write it.
    erasable
        Whether it is compacted as well as kept for a time, so that a tombstone deletes what lies under a key.
    """

    name: str
    purpose: str
    key: str
    value: str
    partitions: Literal["events", "one"]
    retention: str | None
    internal: bool = False
    erasable: bool = False

    @property
    def compacted(self) -> bool:
        """Whether the newest record of every key is kept."""
        return self.retention is None

    @property
    def cleanup(self) -> str:
        """The cleanup policy, as Kafka writes it."""
        if self.erasable:
            return "compact,delete"
        return "compact" if self.compacted else "delete"

    def full_name(self, settings: Settings) -> str:
        """Return the name with the prefix of the settings."""
        return settings.broker.topic_prefix + self.name

    def configs(self, settings: Settings) -> dict[str, str]:
        """Return the topic configuration to create it with.

        >>> EVENTS.configs(Settings())["retention.ms"], MODELS.configs(Settings())["cleanup.policy"]
        ('604800000', 'compact')
        """
        keep = FOREVER if self.retention is None else getattr(settings.topics, self.retention)
        configs = {
            "cleanup.policy": self.cleanup,
            "retention.ms": "-1" if keep == FOREVER else str(milliseconds(keep)),
        }
        if self.compacted:
            configs |= _STATE if self.internal else _OUTPUT
        elif keep != FOREVER:
            # A record leaves with the last one of its segment: a day after its time at the latest.
            configs["segment.ms"] = str(min(milliseconds(keep), _DAY_MS))
        if self.erasable:
            configs |= _LETTERS
        if self.internal or self is DEAD_LETTERS:
            # A dead letter is the largest event there may be, and its headers.
            configs["max.message.bytes"] = str(MAX_INTERNAL_BYTES)
        if self in (EVENTS, PROBE):
            # Retention and the test for events from the future go by the broker's clock, not a producer's;
            # the probe topic shows that clock to the doctor.
            configs["message.timestamp.type"] = "LogAppendTime"
        if settings.topics.replication_factor > 2:
            configs["min.insync.replicas"] = str(settings.topics.replication_factor - 1)
        return configs


EVENTS: Final = Topic(
    "clickstream.events.v1", "events in", "user_id", "Event (JSON)", "events", "event_retention"
)
DEAD_LETTERS: Final = Topic(
    "clickstream.events.v1.dlq",
    "rejected events, untouched, the reason in headers",
    "the event's",
    "the event's bytes",
    "events",
    "dead_letter_retention",
    erasable=True,
)
RECOMMENDATIONS: Final = Topic(
    "recommendations.v1",
    "a fresh list per user",
    "subject",
    "Recommendation (JSON)",
    "events",
    "output_retention",
)
ALERTS: Final = Topic(
    "churn.alerts.v1",
    "who leaves, why, what to do",
    "subject",
    "ChurnAlert (JSON)",
    "events",
    "output_retention",
)
INTERVENTIONS: Final = Topic(
    "interventions.v1",
    "what is decided for a leaving user, and later what came of it",
    "subject",
    "Intervention (JSON)",
    "events",
    "intervention_retention",
)
SCORES: Final = Topic(
    "churn.scores.v1", "last score of a user", "subject", "ChurnScore (JSON)", "events", None
)
PROFILES: Final = Topic(
    "user.profiles.v1",
    "stage, segment and expected value of a customer",
    "subject",
    "CustomerProfile (JSON)",
    "events",
    None,
)
RETENTION: Final = Topic(
    "retention.v1",
    "the retention board of a partition at the end of a day",
    "partition",
    "RetentionBoard (JSON)",
    "events",
    "board_retention",
)
NEIGHBOURS: Final = Topic(
    "item.neighbours.v1",
    "what follows and precedes an item",
    "item_id",
    "ItemNeighbours (JSON)",
    "events",
    None,
)
CATALOGUE: Final = Topic(
    "catalog.items.v1",
    "the shop's items: category, brand, price, whether they can be bought",
    "item_id",
    "CatalogItem (JSON)",
    "one",
    None,
)
RULES: Final = Topic(
    "list.rules.v1",
    "what the shop demands of lists: pin, block, boost",
    "rule_id",
    "ListRule (JSON)",
    "one",
    None,
)
ITEM_PAIRS: Final = Topic(
    "keepstream.item-pairs.v1",
    "touches and pairs on their way to the items' partitions",
    "none",
    "PairBatch (msgpack)",
    "events",
    "internal_retention",
    internal=True,
)
EXAMPLES: Final = Topic(
    "keepstream.examples.v1",
    "matured training examples",
    "none",
    "ExampleBatch (msgpack)",
    "one",
    "internal_retention",
    internal=True,
)
RANK_EXAMPLES: Final = Topic(
    "keepstream.rank-examples.v1",
    "sampled touches with what was offered before them",
    "none",
    "RankExamples (msgpack)",
    "one",
    "internal_retention",
    internal=True,
)
MODELS: Final = Topic(
    "keepstream.models.v1",
    "model snapshots: the newest, one a day, a pin",
    "model name",
    "ModelSnapshot (JSON)",
    "one",
    None,
    internal=True,
)
WORKERS: Final = Topic(
    "keepstream.workers.v1",
    "workers and their partitions",
    "instance",
    "Worker (JSON)",
    "one",
    None,
    internal=True,
)
PROBE: Final = Topic(
    "keepstream.probe.v1",
    "records a starting worker tries the broker's transactions with",
    "random",
    "none",
    "one",
    "internal_retention",
    internal=True,
)
USERS_CHANGELOG: Final = Topic(
    "keepstream.users.changelog.v1",
    "state and position of the users' partitions",
    "row key",
    "row (bytes)",
    "events",
    None,
    internal=True,
)
ITEMS_CHANGELOG: Final = Topic(
    "keepstream.items.changelog.v1",
    "state and position of the items' partitions",
    "row key",
    "row (bytes)",
    "events",
    None,
    internal=True,
)
TRAINER_CHANGELOG: Final = Topic(
    "keepstream.trainer.changelog.v1",
    "state and position of the trainer",
    "row key",
    "row (bytes)",
    "one",
    None,
    internal=True,
)
RANKER_CHANGELOG: Final = Topic(
    "keepstream.ranker.changelog.v1",
    "state and position of the ranker",
    "row key",
    "row (bytes)",
    "one",
    None,
    internal=True,
)

TOPICS: Final = (
    EVENTS,
    DEAD_LETTERS,
    RECOMMENDATIONS,
    ALERTS,
    INTERVENTIONS,
    SCORES,
    PROFILES,
    RETENTION,
    NEIGHBOURS,
    CATALOGUE,
    RULES,
    ITEM_PAIRS,
    EXAMPLES,
    RANK_EXAMPLES,
    MODELS,
    WORKERS,
    PROBE,
    USERS_CHANGELOG,
    ITEMS_CHANGELOG,
    TRAINER_CHANGELOG,
    RANKER_CHANGELOG,
)
