"""Every JSON document that crosses Kafka or HTTP, as msgspec structs; JSON Schemas are derived from them.

Structs only: what makes or judges these documents lives in `streams.decode`, `streams.encode`, `streams.api`.
"""

from streams.schemas.answers import (
    Alive,
    Counters,
    Index,
    ItemProfile,
    LiveSample,
    ModelCard,
    ModelPoint,
    PartitionStatus,
    Partnership,
    Readiness,
    Refusal,
    UserAlert,
    UserProfile,
    UserRisk,
    UserSession,
    WorkerStatus,
)
from streams.schemas.event import Event, Item
from streams.schemas.outputs import (
    ChurnAlert,
    ChurnScore,
    Intervention,
    InterventionOutcome,
    ItemNeighbours,
    ModelSnapshot,
    Origin,
    Partner,
    Recommendation,
    RecommendedItem,
    WorkerAnnouncement,
)

__all__ = [
    "Alive",
    "ChurnAlert",
    "ChurnScore",
    "Counters",
    "Event",
    "Index",
    "Intervention",
    "InterventionOutcome",
    "Item",
    "ItemNeighbours",
    "ItemProfile",
    "LiveSample",
    "ModelCard",
    "ModelPoint",
    "ModelSnapshot",
    "Origin",
    "PartitionStatus",
    "Partner",
    "Partnership",
    "Readiness",
    "Recommendation",
    "RecommendedItem",
    "Refusal",
    "UserAlert",
    "UserProfile",
    "UserRisk",
    "UserSession",
    "WorkerAnnouncement",
    "WorkerStatus",
]
