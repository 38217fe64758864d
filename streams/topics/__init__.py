"""The topics: one table of them, how a broker's differ from it, and their creation.

No topic name is written anywhere else.
"""

from streams.topics.admin import check, compacts, create, ensure, list_existing
from streams.topics.check import Existing, Mismatch, differences, partition_count
from streams.topics.table import (
    ALERTS,
    DEAD_LETTERS,
    EVENTS,
    EXAMPLES,
    INTERVENTIONS,
    ITEM_PAIRS,
    ITEMS_CHANGELOG,
    MAX_INTERNAL_BYTES,
    MODELS,
    NEIGHBOURS,
    PROBE,
    RANK_EXAMPLES,
    RANKER_CHANGELOG,
    RECOMMENDATIONS,
    SCORES,
    TOPICS,
    TRAINER_CHANGELOG,
    USERS_CHANGELOG,
    WORKERS,
    Topic,
)

__all__ = [
    "ALERTS",
    "DEAD_LETTERS",
    "EVENTS",
    "EXAMPLES",
    "INTERVENTIONS",
    "ITEMS_CHANGELOG",
    "ITEM_PAIRS",
    "MAX_INTERNAL_BYTES",
    "MODELS",
    "NEIGHBOURS",
    "PROBE",
    "RANKER_CHANGELOG",
    "RANK_EXAMPLES",
    "RECOMMENDATIONS",
    "SCORES",
    "TOPICS",
    "TRAINER_CHANGELOG",
    "USERS_CHANGELOG",
    "WORKERS",
    "Existing",
    "Mismatch",
    "Topic",
    "check",
    "compacts",
    "create",
    "differences",
    "ensure",
    "list_existing",
    "partition_count",
]
