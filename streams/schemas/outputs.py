"""What Keepstream writes: recommendations, alerts, scores, and the rows its workers share.

Times are epoch milliseconds of event time. An `id` is the same however often the output is computed, so
that a consumer can tell a repetition from news.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from streams.schemas.fields import Count, Id, Label, Name, Probability

_Time = Annotated[int, Meta(description="Event time at which it was decided, epoch milliseconds.")]
_ModelVersion = Annotated[
    str,
    Meta(min_length=1, description="The model that decided, as in the models topic.", examples=["churn-184"]),
]
_Subject = Annotated[
    str,
    Meta(
        min_length=3,
        pattern="^[ua]:",
        description="`u:` and the user_id, or `a:` and the anonymous_id.",
        examples=["u:c-4711"],
    ),
]
_UserId = Annotated[Id, Meta(description="The customer, where one is known.", examples=["c-4711"])]
Reasons = Annotated[
    list[str],
    Meta(
        description="The strongest reasons, in words and numbers, strongest first.",
        examples=[["quiet 12.3 d, usual gap 3.1 d"]],
    ),
]

Contributions = Annotated[
    dict[str, float],
    Meta(
        description="What each side of the user's behaviour adds to the log-odds of leaving, compared with a "
        "user of mean features.",
        examples=[{"silence": 1.12, "visits": -0.2}],
    ),
]
Counterfactual = Annotated[
    str,
    Meta(
        description="What the probability would be had the user bought something this moment.",
        examples=["one purchase would lower it to 0.31"],
    ),
]


class Origin(msgspec.Struct, frozen=True, gc=False):
    """What produced an output: the code, and the place in the log that it had read up to."""

    agent: Annotated[str, Meta(description="The agent that decided.", examples=["users"])]
    method: Annotated[str, Meta(description="How it decided.", examples=["cooccurrence", "churn"])]
    topic: Annotated[str, Meta(description="Topic of the source event.", examples=["clickstream.events.v1"])]
    partition: Annotated[Count, Meta(description="Partition of the source event.")]
    offset: Annotated[Count, Meta(description="Offset of the last event that counted.")]


Source = Annotated[Origin, Meta(description="What decided, and the place in the log it had read up to.")]


class RecommendedItem(msgspec.Struct, frozen=True, gc=False):
    """One place of a list."""

    item_id: Annotated[Id, Meta(description="The item.", examples=["sku-1042"])]
    score: Annotated[float, Meta(description="Score; comparable within its list only.", examples=[0.82])]
    reason: Annotated[
        str,
        Meta(description="Why it is there.", examples=["people who viewed sku-7 next viewed this"]),
    ]


class Recommendation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A fresh list for one user, sent after each touch of an item; events that arrive together get one."""

    id: Annotated[str, Meta(description="Source partition and offset.", examples=["3-1042"])]
    subject: _Subject
    event_time: _Time
    model_version: _ModelVersion
    source: Source
    items: Annotated[list[RecommendedItem], Meta(description="The list, best first.")]
    user_id: _UserId | None = None
    variants: Annotated[
        dict[str, str],
        Meta(description="What the user sees of each experiment.", examples=[{"spread": "mmr"}]),
    ] = {}


class ChurnAlert(msgspec.Struct, frozen=True, gc=False):
    """A user is about to leave: how sure, why, and what to do."""

    id: Annotated[
        str, Meta(description="Subject and time of the check.", examples=["u:c-4711@1772360100250"])
    ]
    subject: _Subject
    user_id: _UserId
    event_time: _Time
    model_version: _ModelVersion
    source: Source
    probability: Annotated[
        Probability, Meta(description="Of no activity within the horizon.", examples=[0.87])
    ]
    threshold: Annotated[Probability, Meta(description="What the probability crossed.", examples=[0.8])]
    horizon_ms: Annotated[Count, Meta(description="The horizon, milliseconds.", examples=[2_419_200_000])]
    reasons: Reasons
    action: Annotated[str, Meta(description="The win-back action to try.", examples=["cart_reminder"])]
    expected_value: Annotated[
        float,
        Meta(
            description="Expected spending within the horizon, times margin and probability, less the cost "
            "of an alert; in the currency of the events.",
            examples=[12.4],
        ),
    ] = 0.0
    contributions: Contributions = {}
    counterfactual: Counterfactual = ""


class InterventionOutcome(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What came of a decision within the horizon."""

    event_time: Annotated[int, Meta(description="When this was final, epoch milliseconds.")]
    returned: Annotated[bool, Meta(description="Whether the user came back; opening a message is no return.")]
    spend: Annotated[float, Meta(ge=0.0, description="Spent by purchases.", examples=[49.9])]
    returned_at: Annotated[int, Meta(description="First activity, epoch milliseconds.")] | None = None
    opened: Annotated[bool, Meta(description="Whether intervention_opened came.")] = False
    redeemed: Annotated[bool, Meta(description="Whether intervention_redeemed came.")] = False


class Intervention(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A win-back decision; it is written once more, with its outcome, when the horizon has passed."""

    id: Annotated[
        str, Meta(description="Subject and time of the decision.", examples=["u:c-4711@1772360100250"])
    ]
    subject: _Subject
    user_id: _UserId
    event_time: _Time
    model_version: Annotated[
        str, Meta(description="The bandit that decided; winback-0 believed nothing.", examples=["winback-12"])
    ]
    source: Source
    action: Annotated[str, Meta(description="What to do; `none` for nothing.", examples=["coupon"])]
    propensity: Annotated[
        float,
        Meta(gt=0.0, le=1.0, description="Probability with which it was chosen.", examples=[0.62]),
    ]
    holdout: Annotated[bool, Meta(description="Whether the user is never to be treated.")]
    cost: Annotated[float, Meta(ge=0.0, description="What the action costs.", examples=[5.0])]
    horizon_ms: Annotated[Count, Meta(description="The horizon, milliseconds.", examples=[2_419_200_000])]
    context: Annotated[
        dict[str, float], Meta(description="What it was decided by, by name.", examples=[{"risk": 0.87}])
    ]
    items: Annotated[
        list[RecommendedItem], Meta(description="What to recommend with it; with the decision only.")
    ] = []
    outcome: (
        Annotated[InterventionOutcome, Meta(description="What came of it; missing until that is known.")]
        | None
    ) = None


class ChurnScore(msgspec.Struct, frozen=True, gc=False):
    """The last score of one user, one record per subject; a null value means that the user is forgotten."""

    id: Annotated[
        str, Meta(description="Subject and time of the check.", examples=["u:c-4711@1772360100250"])
    ]
    subject: _Subject
    user_id: _UserId
    event_time: _Time
    model_version: _ModelVersion
    source: Source
    probability: Annotated[
        Probability, Meta(description="Of no activity within the horizon.", examples=[0.87])
    ]
    horizon_ms: Annotated[Count, Meta(description="The horizon, milliseconds.", examples=[2_419_200_000])]


class CustomerProfile(msgspec.Struct, frozen=True, gc=False):
    """Where a customer stands, written when stage or segment change; a null value means: forgotten."""

    id: Annotated[str, Meta(description="Subject and end of the day.", examples=["u:c-4711@1772409600000"])]
    subject: _Subject
    user_id: _UserId
    event_time: _Time
    source: Source
    stage: Annotated[str, Meta(description="new, active, at_risk, lapsed or won_back.", examples=["at_risk"])]
    segment: Annotated[str, Meta(description="RFM segment; browser: never bought.", examples=["loyal"])]
    recency: Annotated[int, Meta(ge=0, le=5, description="Fifth by last purchase, 5 the latest; 0: none.")]
    frequency: Annotated[int, Meta(ge=0, le=5, description="Fifth by number of purchases, 5 the most.")]
    monetary: Annotated[int, Meta(ge=0, le=5, description="Fifth by lifetime spending, 5 the most.")]
    purchases: Annotated[Count, Meta(description="Exact lifetime number of purchases.")]
    spend: Annotated[float, Meta(ge=0.0, description="Lifetime value of purchases.")]
    last_event: Annotated[int, Meta(description="Latest activity, epoch milliseconds.")]
    expected_value: Annotated[
        float,
        Meta(ge=0.0, description="Spending expected within the next horizon, weighted by the risk."),
    ]


class RetentionCohort(msgspec.Struct, frozen=True, gc=False):
    """The customers first seen in one week."""

    week: Annotated[int, Meta(description="The Monday it begins with, UTC, epoch milliseconds.")]
    size: Annotated[Count, Meta(description="How many of them are known.")]
    active: Annotated[Count, Meta(description="How many were active within the last 7 days.")]


class RetentionBoard(msgspec.Struct, frozen=True, gc=False):
    """Counts of one partition at the end of a day; those of all partitions add up."""

    id: Annotated[str, Meta(description="Partition and end of the day.", examples=["3@1772409600000"])]
    event_time: _Time
    source: Source
    horizon_ms: Annotated[Count, Meta(description="The horizon, milliseconds.")]
    users: Annotated[Count, Meta(description="Known customers with activity.")]
    daily: Annotated[Count, Meta(description="Active within the day (DAU).")]
    weekly: Annotated[Count, Meta(description="Active within 7 days (WAU).")]
    monthly: Annotated[Count, Meta(description="Active within 30 days (MAU).")]
    fresh: Annotated[Count, Meta(description="First seen within the day.")]
    at_stake: Annotated[Count, Meta(description="Whose silence was shorter than the horizon a day before.")]
    churned: Annotated[Count, Meta(description="Of these: whose silence reached the horizon in the day.")]
    stages: Annotated[dict[str, Count], Meta(description="Customers by stage.")]
    segments: Annotated[dict[str, Count], Meta(description="Customers by RFM segment.")]
    expected_value: Annotated[float, Meta(ge=0.0, description="Sum of their expected values.")]
    cohorts: Annotated[
        list[RetentionCohort], Meta(description="Newcomers of the last 53 weeks by week, oldest first.")
    ]


class Partner(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An item seen near another one; written as an array in this order to keep rows small."""

    item_id: Annotated[Id, Meta(description="The partner.")]
    forward: Annotated[float, Meta(ge=0.0, description="Decayed weight of the partner following the item.")]
    backward: Annotated[float, Meta(ge=0.0, description="Decayed weight of the partner preceding the item.")]
    lag1: Annotated[
        Probability, Meta(description="Share of the item's touches that the partner directly followed.")
    ]


class ItemNeighbours(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What every worker knows of one item, one record each; a null value means that it is forgotten."""

    item_id: Annotated[Id, Meta(description="The item.", examples=["sku-1042"])]
    event_time: _Time
    touches: Annotated[Count, Meta(description="Exact lifetime number of touches.")]
    popularity: Annotated[float, Meta(ge=0.0, description="Touches, slowly decayed to `event_time`.")]
    lately: Annotated[float, Meta(ge=0.0, description="Touches, quickly decayed to `event_time`.")]
    partners: Annotated[list[Partner], Meta(description="The strongest partners, best first.")]
    category: Annotated[Label, Meta(description="Category; empty where unknown.")] = ""
    price: Annotated[float, Meta(ge=0.0, description="Last known price per unit.")] | None = None


class WorkerAnnouncement(msgspec.Struct, frozen=True):
    """Where a worker answers lookups and what it owns; a null value of its record means it has left."""

    instance: Annotated[
        str, Meta(min_length=1, description="Stable name of the worker.", examples=["host-0"])
    ]
    url: Annotated[str, Meta(description="Base URL of its HTTP server.", examples=["http://10.0.0.7:6066"])]
    generation: Annotated[int, Meta(description="Generation of the consumer group it speaks of.")]
    partitions: Annotated[
        dict[str, list[Count]],
        Meta(description="Owned partitions by agent.", examples=[{"users": [0, 1], "items": [0, 1]}]),
    ]


class ModelSnapshot(msgspec.Struct, frozen=True):
    """A model as plain numbers; loading it executes nothing.

    The topic is compacted. Under the model's name lies the newest one, under `NAME/day/NN` the last one of
    each of 32 days, under `NAME/pin` the one that `keepstream model rollback` tells scorers to use.
    """

    model: Annotated[Name, Meta(description="Name of the model.", examples=["churn"])]
    model_version: _ModelVersion
    event_time: Annotated[
        int, Meta(description="Largest event time it has learned from, epoch milliseconds.")
    ]
    examples: Annotated[Count, Meta(description="Number of examples it has learned from.")]
    format: Annotated[int, Meta(ge=1, description="Version of the layout of `state`.")]
    state: Annotated[dict[str, Any], Meta(description="Weights, scaler moments and names: plain values.")]
    checksum: Annotated[
        Count, Meta(description="CRC-32 of this document with a checksum of 0; 0 where it bears none.")
    ] = 0
