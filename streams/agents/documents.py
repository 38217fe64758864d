"""Results of `online_models` as documents of `streams.schemas`, and back."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

import numpy as np

from online_models.churn.alerts import ChurnAlert as Alert
from online_models.churn.effects import ChurnScore as Score
from online_models.churn.effects import UserView
from online_models.churn.reasons import Explanation
from online_models.churn.scorer import SNAPSHOT_VERSION, ChurnScorer
from online_models.events import Floats, hash_id
from online_models.items.compose import Lists
from online_models.items.cooccurrence import ItemView
from online_models.items.neighbours import NeighbourRow
from online_models.items.pairs import Floats32
from online_models.items.rank_trainer import PublishedRanker
from streams.encode import check_id, recommendation_id, sealed
from streams.schemas import (
    ChurnAlert,
    ChurnScore,
    ItemNeighbours,
    ModelSnapshot,
    Origin,
    Partner,
    Recommendation,
    RecommendedItem,
    UserAlert,
    UserRisk,
)

RANKER: Final = "ranker"
BASE_RANKER: Final = "base-1"
"""Name of the ranker with fixed weights."""

_DIGITS: Final = 5
_SENT_ITEMS: Final = 5


def neighbours_documents(rows: Sequence[NeighbourRow]) -> list[ItemNeighbours]:
    """Return items' rows as they are broadcast; items and partners known by hash only are left out."""
    rows = [row for row in rows if row.item_id]
    if not rows:
        return []
    # All rows at once: rounding number by number would cost more than counting the pairs. And by column: a
    # list for every partner would keep the garbage collector busy.
    weights = short(np.concatenate([row.weights for row in rows]).T.astype(np.float64))
    columns = [*weights[:2].tolist(), np.minimum(weights[2], 1.0).tolist()]
    documents, at = [], 0
    for row in rows:
        end = at + len(row.partner_ids)
        documents.append(
            ItemNeighbours(
                item_id=row.item_id,
                event_time=row.time_ms,
                touches=row.touches,
                popularity=_short(row.popularity),
                lately=_short(row.lately),
                partners=_partners(row.partner_ids, [column[at:end] for column in columns]),
                category=row.category,
                price=None if math.isnan(row.price) else row.price,
            )
        )
        at = end
    return documents


def _partners(names: Sequence[str], columns: Sequence[Sequence[float]]) -> list[Partner]:
    """Return those that have a name."""
    partners = list(map(Partner, names, *columns))
    return [partner for partner in partners if partner.item_id] if "" in names else partners


def neighbour_rows(documents: Sequence[ItemNeighbours]) -> list[NeighbourRow | None]:
    """Return the rows that broadcast documents describe, None for one that holds no finite numbers."""
    # All at once: a call of numpy for every row would cost more than reading it.
    partners = [partner for document in documents for partner in document.partners]
    columns = [[p.forward for p in partners], [p.backward for p in partners], [p.lag1 for p in partners]]
    weights = np.ascontiguousarray(np.array(columns, np.float32).T)
    rows: list[NeighbourRow | None] = []
    broken = set(np.flatnonzero(~np.isfinite(weights).all(axis=1)).tolist())
    at = 0
    for document in documents:
        end = at + len(document.partners)
        amounts = (document.popularity, document.lately, document.price or 0.0)
        finite = all(map(math.isfinite, amounts)) and broken.isdisjoint(range(at, end))
        rows.append(_neighbour_row(document, weights[at:end]) if finite else None)
        at = end
    return rows


def _neighbour_row(document: ItemNeighbours, weights: Floats32) -> NeighbourRow:
    return NeighbourRow(
        item_id=document.item_id,
        item_hash=hash_id(document.item_id),
        category=document.category,
        price=math.nan if document.price is None else document.price,
        popularity=document.popularity,
        lately=document.lately,
        time_ms=document.event_time,
        touches=document.touches,
        partner_ids=[partner.item_id for partner in document.partners],
        weights=weights,
    )


def item_profile(view: ItemView) -> dict[str, Any]:
    """Return what a lookup answers of an item, without partition and offset."""
    row = view.row
    return {
        "item_id": row.item_id,
        "touches": row.touches,
        "popularity": _short(row.popularity),
        "event_time": row.time_ms or None,
        "category": row.category,
        "price": None if math.isnan(row.price) else row.price,
        "neighbours": [
            {"item_id": name, "forward": _short(forward), "backward": _short(backward), "lag1": _short(lag1)}
            for name, (forward, backward, lag1) in zip(row.partner_ids, row.weights.tolist(), strict=True)
            if name
        ],
    }


def user_profile(
    view: UserView,
    *,
    explanation: Explanation,
    lists: Lists,
    item_id: Callable[[int], str],
    now_ms: int,
    cooldown_ms: int,
) -> dict[str, Any]:
    """Return what a lookup answers of a user, without partition and offset; see `schemas.UserProfile`.

    Parameters
    ----------
    view
        What the store knows.
    explanation
        Why the user is likely to leave now.
    lists
        One list, computed now.
    item_id
        Returns the id behind a hash, "" where unknown.
    now_ms
        Event time of the partition, epoch milliseconds.
    cooldown_ms
        Least time between two alerts.
    """
    armed = not view.alert_ms or (view.last_ms > view.alert_ms and now_ms - view.alert_ms >= cooldown_ms)
    profile: dict[str, Any] = {
        "subject": view.subject,
        "event_counts": view.event_counts,
        "first_event": view.first_ms or None,
        "last_event": view.last_ms or None,
        "spend": round(view.spend, 2),
        "recent_items": [name for name in map(item_id, view.recent) if name],
        "pending_labels": len(view.pending_labels),
        "session": None,
        "risk": None,
        "alert": UserAlert(armed=armed, last_alert=view.alert_ms or None),
        "recommendations": list_items(lists, 0),
    }
    if view.sessions:
        profile["session"] = {
            "started": view.session_start_ms,
            "last_event": view.last_ms,
            "touches": view.session_touches,
        }
    if view.score_ms:
        profile["risk"] = UserRisk(
            probability=round(view.score, 6),
            event_time=view.score_ms,
            model_version=churn_version(view.score_version),
            **_why(explanation),
        )
    return profile


def model_snapshot(scorer: ChurnScorer, latest_ms: int) -> ModelSnapshot:
    """Return a scorer as it is broadcast: plain numbers, and the time of the latest label it has learned."""
    return sealed(
        ModelSnapshot(
            model="churn",
            model_version=churn_version(scorer.version),
            event_time=latest_ms,
            examples=int(scorer.card.get("churn_labels", 0)),
            format=SNAPSHOT_VERSION,
            state={"scorer": scorer.to_snapshot()},
        )
    )


def ranker_snapshot(published: PublishedRanker) -> ModelSnapshot:
    """Return a ranker as it is broadcast: plain numbers."""
    return sealed(
        ModelSnapshot(
            model=RANKER,
            model_version=f"{RANKER}-{published.version}",
            event_time=published.latest_ms,
            examples=published.sets,
            format=SNAPSHOT_VERSION,
            state={"ranker": published.ranker.to_snapshot() | {"ready": True, "card": dict(published.card)}},
        )
    )


def short(values: Floats) -> Floats:
    """Round to the digits that matter: broadcast rows are read by every worker.

    >>> short(np.array([0.0, 1234.5678, -0.00123456789])).tolist()
    [0.0, 1234.6, -0.0012346]
    """
    sizes = np.abs(values)
    magnitude = np.floor(np.log10(np.where(sizes > 0, sizes, 1.0)))
    # Dividing by a power of ten gives the nearest number with that few decimals; multiplying would not.
    scale = 10.0 ** (_DIGITS - 1 - magnitude)
    return np.asarray(np.rint(values * scale) / scale)


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def band(probability: float) -> str:
    """Return the band of an alert's probability, a label with few values.

    >>> band(0.93), band(0.75), band(0.2)
    ('0.9-1.0', '0.7-0.8', '0.0-0.5')
    """
    if probability < 0.5:
        return "0.0-0.5"
    tenth = min(9, int(probability * 10))
    return f"{tenth / 10:.1f}-{(tenth + 1) / 10:.1f}"


def churn_version(version: int) -> str:
    """Return the name of a churn model; before the first snapshot it is the recency rule.

    >>> churn_version(0), churn_version(12)
    ('recency', 'churn-12')
    """
    return f"churn-{version}" if version else "recency"


def scores(found: Sequence[Score], origin: Origin, horizon_ms: int) -> list[ChurnScore]:
    """Return the last score of each user: the topic keeps no other."""
    last = {score.subject: score for score in found}
    return [
        ChurnScore(
            id=check_id(score.subject, score.at_ms),
            subject=score.subject,
            user_id=score.subject[2:],
            event_time=score.at_ms,
            model_version=churn_version(score.model_version),
            source=origin,
            probability=round(score.probability, 6),
            horizon_ms=horizon_ms,
        )
        for score in last.values()
    ]


def alerts(found: Sequence[Alert], origin: Origin, horizon_ms: int) -> list[ChurnAlert]:
    """Return alerts, in the order they were raised."""
    return [
        ChurnAlert(
            id=check_id(alert.subject, alert.at_ms),
            subject=alert.subject,
            user_id=alert.subject[2:],
            event_time=alert.at_ms,
            model_version=churn_version(alert.model_version),
            source=origin,
            probability=round(alert.probability, 6),
            threshold=round(alert.threshold, 6),
            horizon_ms=horizon_ms,
            **_why(alert.explanation),
            action=alert.action,
            expected_value=round(alert.expected_value, 2),
        )
        for alert in found
    ]


def _why(explanation: Explanation) -> dict[str, Any]:
    """Return the fields by which alerts and lookups say why, the same in both."""
    return {
        "reasons": [reason.text for reason in explanation.reasons],
        "contributions": {name: round(amount, 4) for name, amount in explanation.contributions.items()},
        "counterfactual": explanation.counterfactual,
    }


def lists_by_subject(subjects: Sequence[str], lists: Lists) -> dict[str, list[RecommendedItem]]:
    """Return the first items of the lists of users."""
    return {subject: list_items(lists, index)[:_SENT_ITEMS] for index, subject in enumerate(subjects)}


def list_items(lists: Lists, index: int) -> list[RecommendedItem]:
    """Return one user's list."""
    one = slice(index, index + 1)
    return _all_items(Lists(lists.items[one], lists.scores[one], lists.reasons[one]))[0]


def _all_items(lists: Lists) -> list[list[RecommendedItem]]:
    """Return all users' lists: their scores are rounded at once."""
    scores = iter(short(np.array(list(chain.from_iterable(lists.scores)), np.float64)).tolist())
    return [
        list(map(RecommendedItem, items, islice(scores, len(items)), reasons))
        for items, reasons in zip(lists.items, lists.reasons, strict=True)
    ]


def recommendations(
    active: Sequence[tuple[str, int]],
    lists: Lists,
    partition: int,
    topic: str,
    now_ms: int,
    *,
    versions: Sequence[str],
    variants: Sequence[Mapping[str, str]],
) -> list[Recommendation]:
    """Return the lists of users, identified by the event that caused them; empty lists are left out.

    Parameters
    ----------
    active
        Pairs of subject and offset of the event.
    lists
        Their lists, in the same order.
    partition, topic
        Where these events lie.
    now_ms
        Event time of the partition, epoch milliseconds.
    versions
        The rankers that made them.
    variants
        What their users see of each experiment.
    """
    items = _all_items(lists)
    return [
        Recommendation(
            id=recommendation_id(partition, offset),
            subject=subject,
            event_time=now_ms,
            model_version=versions[index],
            source=Origin("users", "cooccurrence", topic, partition, offset),
            items=items[index],
            user_id=subject[2:] if subject.startswith("u:") else None,
            variants=dict(variants[index]),
        )
        for index, (subject, offset) in enumerate(active)
        if lists.items[index]
    ]
