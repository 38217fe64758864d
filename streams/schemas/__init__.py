"""Every JSON document that crosses Kafka or HTTP, as msgspec structs; JSON Schemas are derived from them.

Structs only: what makes or judges these documents lives in `streams.decode`, `streams.encode`, `streams.api`.
"""

from streams.schemas.answers import (
    ItemProfile,
    Partnership,
    UserAlert,
    UserProfile,
    UserRisk,
    UserSession,
)
from streams.schemas.event import Event, Item
from streams.schemas.outputs import (
    ChurnAlert,
    ChurnScore,
    ItemNeighbours,
    ModelSnapshot,
    Origin,
    Partner,
    Recommendation,
    RecommendedItem,
    WorkerAnnouncement,
)

__all__ = [
    "ChurnAlert",
    "ChurnScore",
    "Event",
    "Item",
    "ItemNeighbours",
    "ItemProfile",
    "ModelSnapshot",
    "Origin",
    "Partner",
    "Partnership",
    "Recommendation",
    "RecommendedItem",
    "UserAlert",
    "UserProfile",
    "UserRisk",
    "UserSession",
    "WorkerAnnouncement",
]
