"""What a worker answers over HTTP, and what `keepstream user` and `keepstream item` print."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streams.schemas.fields import Count, Id, Label, Probability
from streams.schemas.outputs import (
    Contributions,
    Counterfactual,
    Reasons,
    RecommendedItem,
    WorkerAnnouncement,
)

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
    contributions: Contributions = {}
    counterfactual: Counterfactual = ""


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


class ModelCard(msgspec.Struct, frozen=True):
    """What a model is, in numbers."""

    model: Annotated[str, Meta(description="Name of the model.", examples=["churn"])]
    model_version: Annotated[str, Meta(description="Its version.", examples=["churn-184"])]
    event_time: Annotated[int, Meta(description="Largest event time it has learned from, epoch ms.")]
    newest_version: Annotated[
        str, Meta(description="The version that was published last; another one is used while it is pinned.")
    ]
    examples: Annotated[Count, Meta(description="Number of labels it has learned from.")]
    ready: Annotated[bool | None, Meta(description="Whether it has seen enough labels to score with.")]
    threshold: Annotated[float | None, Meta(description="Probability from which on users are alerted.")]
    metrics: Annotated[dict[str, float | None], Meta(description="Its measures by name.")]
    bias: Annotated[float | None, Meta(description="Constant of the log-odds.")]
    weights: Annotated[dict[str, float], Meta(description="Weight of the log-odds by feature.")]


class PartitionStatus(msgspec.Struct, frozen=True):
    """A partition that the worker holds."""

    agent: Annotated[str, Meta(description="Which agent handles it.")]
    topic: Annotated[str, Meta(description="Its topic, full name.")]
    partition: Annotated[Count, Meta(description="Its number.")]
    position: Annotated[int, Meta(description="Offset of the next record to be applied.")]
    open: Annotated[bool, Meta(description="Whether it is restored and read.")]


class ExperimentMeasure(msgspec.Struct, frozen=True, gc=False):
    """One measure of a variant; a number that is not known yet is null."""

    users: Annotated[Count, Meta(description="Of whom it is known.")]
    rate: Annotated[float, Meta(description="Mean over these users, 0 to 1.")] | None
    low: Annotated[float, Meta(description="Lower bound of it.")] | None
    high: Annotated[float, Meta(description="Upper bound of it.")] | None
    difference: Annotated[float, Meta(description="Mean less that of the control.")] | None
    difference_low: Annotated[float, Meta(description="Lower bound of that, whenever one looks.")] | None
    difference_high: Annotated[float, Meta(description="Upper bound of that, whenever one looks.")] | None
    verdict: Annotated[
        Literal["better", "worse", "open"],
        Meta(description="`better` or `worse` once the bounds of the difference exclude 0."),
    ]


class ExperimentVariant(msgspec.Struct, frozen=True, gc=False):
    """What a bucket of users saw, and what came of them."""

    name: Annotated[str, Meta(description="Of the variant.", examples=["mmr"])]
    control: Annotated[bool, Meta(description="Whether the others are compared with it.")]
    users: Annotated[Count, Meta(description="Users whose window is over.")]
    measures: Annotated[
        dict[str, ExperimentMeasure], Meta(description="`hit_rate`, `clicked` and `purchased`.")
    ]


class ExperimentResult(msgspec.Struct, frozen=True, gc=False):
    """An experiment with lists, and its variants side by side."""

    name: Annotated[str, Meta(description="Of the experiment.", examples=["spread"])]
    began: Annotated[int, Meta(description="Begin of the first window, epoch milliseconds.")]
    latest: Annotated[int, Meta(description="End of the latest window, epoch milliseconds.")]
    uneven: Annotated[
        bool, Meta(description="Whether users are shared out in a way that chance does not explain.")
    ]
    variants: Annotated[list[ExperimentVariant], Meta(description="The control first.")]


class ExperimentResults(msgspec.Struct, frozen=True, gc=False):
    """What has come of all experiments with lists."""

    alpha: Annotated[float, Meta(description="Chance that a bound is ever wrong.", examples=[0.05])]
    experiments: Annotated[list[ExperimentResult], Meta(description="The one with the newest outcome first.")]


class Counters(msgspec.Struct, frozen=True):
    """What the worker has done since it started."""

    accepted: Annotated[Count, Meta(description="Events applied to the state of their user.")]
    duplicates: Annotated[Count, Meta(description="Events dropped because their event_id was known.")]
    scores: Annotated[Count, Meta(description="Users scored for churn.")]
    lists: Annotated[Count, Meta(description="Recommendation lists published.")]
    checkpoints: Annotated[Count, Meta(description="Transactions committed.")]
    rejected: Annotated[dict[str, Count], Meta(description="By reason.")]
    alerts: Annotated[dict[str, Count], Meta(description="By band of probability.")]


class ActionWorth(msgspec.Struct, frozen=True):
    """What a win-back action has been worth so far; besides `treated` for all of them, and `holdout`."""

    action: Annotated[str, Meta(description="The action.")]
    outcomes: Annotated[Count, Meta(description="Decisions whose outcome is known.")]
    return_rate: Annotated[float, Meta(description="Share of users who come back within the horizon.")]
    uplift: Annotated[float | None, Meta(description="Return rate less that of the holdout.")]
    low: Annotated[float | None, Meta(description="Lower bound of its interval of 95 %.")]
    high: Annotated[float | None, Meta(description="Upper bound.")]
    spend: Annotated[float | None, Meta(description="Spent more than in the holdout, per decision.")]


class LiveSample(msgspec.Struct, frozen=True):
    """What all workers together are doing at one moment."""

    time: Annotated[Count, Meta(description="Wall clock, epoch milliseconds.")]
    workers: Annotated[Count, Meta(description="Workers that have answered.")]
    ready: Annotated[Count, Meta(description="Those of them that are ready.")]
    counters: Counters
    lag: Annotated[dict[str, Count], Meta(description="Records not applied yet, by agent.")]
    users: Annotated[Count, Meta(description="Users held in memory.")]
    items: Annotated[Count, Meta(description="Items held in memory.")]
    clock: Annotated[int | None, Meta(description="Event time of the newest event, epoch milliseconds.")]
    lists: Annotated[
        dict[str, float], Meta(description="Prequential quality of the lists and of listing what is popular.")
    ]
    winback: Annotated[list[ActionWorth], Meta(description="What win-back is worth, by action.")] = []


class ModelPoint(msgspec.Struct, frozen=True):
    """The measures of a model at the moment a version of it was published."""

    model: Annotated[str, Meta(description="Name of the model.")]
    model_version: str
    event_time: Annotated[int, Meta(description="Largest event time it had learned from, epoch ms.")]
    examples: Annotated[Count, Meta(description="Labels it had learned from.")]
    metrics: Annotated[dict[str, float | None], Meta(description="Its measures by name.")]


class WorkerStatus(msgspec.Struct, frozen=True):
    """What a worker says of itself."""

    instance: Annotated[str, Meta(description="Its name in the group.")]
    version: Annotated[str, Meta(description="Its release.")]
    group: Annotated[str, Meta(description="Consumer group of the shop.")]
    generation: Annotated[Count, Meta(description="Of the group; 0 outside of it.")]
    ready: Annotated[bool, Meta(description="Whether everything is restored and read.")]
    waiting_for: Annotated[list[str], Meta(description="What is missing until it is ready.")]
    partitions: Annotated[list[PartitionStatus], Meta(description="What it holds.")]
    counters: Counters
    workers: Annotated[list[WorkerAnnouncement], Meta(description="All workers that announced themselves.")]


class Alive(msgspec.Struct, frozen=True):
    """The event loop runs."""

    alive: Annotated[bool, Meta(description="Always true; no answer means no.")]


class Readiness(msgspec.Struct, frozen=True):
    """Whether everything is restored and read."""

    ready: Annotated[bool, Meta(description="Whether lookups find everything here.")]
    waiting_for: Annotated[list[str], Meta(description="What is missing, in words.")]


class Index(msgspec.Struct, frozen=True):
    """What can be asked."""

    service: Annotated[str, Meta(description="Always keepstream.")]
    version: Annotated[str, Meta(description="Release of the worker.")]
    paths: Annotated[list[str], Meta(description="What can be asked.")]


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no answer."""

    error: Annotated[str, Meta(description="The reason, in words.")]
    waiting_for: Annotated[list[str], Meta(description="Partitions that nobody has restored yet.")] = []
    looked_into: Annotated[list[Count], Meta(description="Partitions of one worker, asked by another.")] = []
