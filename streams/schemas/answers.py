"""What a lookup answers, over HTTP and from `keepstream user` and `keepstream item`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from streams.schemas.fields import Count, Id, Label, Probability
from streams.schemas.outputs import Reasons, RecommendedItem

_Time = Annotated[int, Meta(description="Event time, epoch milliseconds.")]
_Position = Annotated[int, Meta(description="Offset of the last event that the answer counts.")]


class UserSession(msgspec.Struct, frozen=True):
    """The latest session of a user."""

    started: _Time
    last_event: _Time
    touches: Annotated[Count, Meta(description="Touches of items in it so far.")]


class UserRisk(msgspec.Struct, frozen=True):
    """The last churn score of a user."""

    probability: Annotated[Probability, Meta(description="Of no activity within the horizon.")]
    event_time: _Time
    model_version: str
    reasons: Reasons


class UserAlert(msgspec.Struct, frozen=True):
    """The alert state of a user."""

    armed: Annotated[bool, Meta(description="Whether the next crossing of the threshold raises an alert.")]
    last_alert: _Time | None = None


class UserProfile(msgspec.Struct, frozen=True):
    """Everything that is known of one user."""

    subject: Annotated[str, Meta(pattern="^[ua]:", description="`u:` user_id or `a:` anonymous_id.")]
    partition: Annotated[Count, Meta(description="Partition that owns the user.")]
    offset: _Position
    event_counts: Annotated[
        dict[str, Count], Meta(description="Exact lifetime number of accepted events by event name.")
    ]
    first_event: _Time | None
    last_event: _Time | None
    spend: Annotated[float, Meta(description="Lifetime value of purchases.")]
    recent_items: Annotated[list[str], Meta(description="Items touched last, newest first.")]
    pending_labels: Annotated[Count, Meta(description="Frozen features that wait for their label.")]
    session: UserSession | None = None
    risk: UserRisk | None = None
    alert: UserAlert | None = None
    recommendations: Annotated[list[RecommendedItem], Meta(description="A fresh list, best first.")] = []


class Partnership(msgspec.Struct, frozen=True):
    """One partner of an item."""

    item_id: Annotated[Id, Meta(description="The partner.")]
    forward: Annotated[float, Meta(description="Decayed weight of the partner following the item.")]
    backward: Annotated[float, Meta(description="Decayed weight of the partner preceding the item.")]
    lag1: Annotated[
        Probability, Meta(description="Share of the item's touches that the partner directly followed.")
    ]


class ItemProfile(msgspec.Struct, frozen=True):
    """Everything that is known of one item."""

    item_id: Annotated[Id, Meta(description="The item.")]
    partition: Annotated[Count, Meta(description="Partition that owns the item.")]
    offset: _Position
    touches: Annotated[Count, Meta(description="Exact lifetime number of touches.")]
    popularity: Annotated[float, Meta(description="Touches decayed to `event_time`.")]
    event_time: _Time | None
    neighbours: Annotated[list[Partnership], Meta(description="Its partners, strongest first.")]
    category: Label = ""
    price: float | None = None
