"""One real sample of every public document, and their JSON Schemas."""

from inspect import cleandoc
from typing import Any, Final

import msgspec

from streams.schemas.answers import ItemProfile, Partnership, UserAlert, UserProfile, UserRisk, UserSession
from streams.schemas.event import Event
from streams.schemas.outputs import (
    ChurnAlert,
    ChurnScore,
    CustomerProfile,
    Intervention,
    InterventionOutcome,
    ItemNeighbours,
    ModelSnapshot,
    Origin,
    Partner,
    Recommendation,
    RecommendedItem,
    RetentionBoard,
    RetentionCohort,
    WorkerAnnouncement,
)
from streams.schemas.shop import CatalogItem, ListRule

_NOW: Final = 1_772_360_100_250
_MIDNIGHT: Final = 1_772_409_600_000
_HORIZON: Final = 28 * 86_400_000
_QUIET: Final = "quiet 12.3 d, usual gap 3.1 d"
_SHOES: Final = RecommendedItem("sku-1042", 0.82, "people who viewed sku-7 next viewed this")


def _origin(method: str) -> Origin:
    return Origin("users", method, "clickstream.events.v1", 3, 1042)


EVENT: Final = {
    "event_id": "e-7f3a",
    "event_name": "add_to_cart",
    "event_time": "2026-03-01T10:15:00.250Z",
    "user_id": "c-4711",
    "session_id": "s-1",
    "items": [{"item_id": "sku-1042", "item_category": "Shoes", "price": 89.95, "quantity": 1}],
    "value": 89.95,
    "currency": "EUR",
}
"""A sample event as a producer writes it."""

SAMPLES: Final[dict[str, msgspec.Struct]] = {
    "event": msgspec.convert(EVENT, Event),
    "recommendation": Recommendation(
        id="3-1042",
        subject="u:c-4711",
        user_id="c-4711",
        event_time=_NOW,
        model_version="ranker-12",
        source=_origin("cooccurrence"),
        items=[_SHOES, RecommendedItem("sku-7", 0.41, "you viewed it 2 touches ago")],
    ),
    "churn_alert": ChurnAlert(
        id=f"u:c-4711@{_NOW}",
        subject="u:c-4711",
        user_id="c-4711",
        event_time=_NOW,
        model_version="churn-184",
        source=_origin("churn"),
        probability=0.87,
        threshold=0.8,
        horizon_ms=_HORIZON,
        reasons=[_QUIET, "2 left in the cart"],
        action="cart_reminder",
        contributions={"silence": 1.12, "cart": 0.31, "visits": -0.2},
        counterfactual="one purchase would lower it to 0.31",
    ),
    "intervention": Intervention(
        id=f"u:c-4711@{_NOW}",
        subject="u:c-4711",
        user_id="c-4711",
        event_time=_NOW,
        model_version="winback-12",
        source=_origin("winback"),
        action="coupon",
        propensity=0.62,
        holdout=False,
        cost=5.0,
        horizon_ms=_HORIZON,
        context={"constant": 1.0, "risk": 0.87, "recency": 0.44},
        outcome=InterventionOutcome(
            event_time=_NOW + _HORIZON + 3_600_000,
            returned=True,
            spend=49.9,
            returned_at=_NOW + 86_400_000,
            opened=True,
        ),
    ),
    "churn_score": ChurnScore(
        id=f"u:c-4711@{_NOW}",
        subject="u:c-4711",
        user_id="c-4711",
        event_time=_NOW,
        model_version="churn-184",
        source=_origin("churn"),
        probability=0.87,
        horizon_ms=_HORIZON,
    ),
    "customer_profile": CustomerProfile(
        id=f"u:c-4711@{_MIDNIGHT}",
        subject="u:c-4711",
        user_id="c-4711",
        event_time=_MIDNIGHT,
        source=_origin("value"),
        stage="at_risk",
        segment="loyal",
        recency=3,
        frequency=4,
        monetary=5,
        purchases=7,
        spend=612.4,
        last_event=_NOW,
        expected_value=31.2,
    ),
    "retention_board": RetentionBoard(
        id=f"3@{_MIDNIGHT}",
        event_time=_MIDNIGHT,
        source=_origin("value"),
        horizon_ms=_HORIZON,
        users=5_210,
        daily=404,
        weekly=1_377,
        monthly=2_946,
        fresh=21,
        at_stake=2_811,
        churned=38,
        stages={"new": 520, "active": 1_702, "at_risk": 473, "lapsed": 2_437, "won_back": 78},
        segments={"champion": 610, "browser": 2_150},
        expected_value=48_310.5,
        cohorts=[RetentionCohort(1_771_804_800_000, 148, 61)],
    ),
    "item_neighbours": ItemNeighbours(
        item_id="sku-1042",
        event_time=_NOW,
        touches=512,
        popularity=83.4,
        lately=11.5,
        partners=[Partner("sku-7", 12.5, 3.25, 0.4), Partner("sku-88", 4.0, 6.5, 0.1)],
        category="Shoes",
        price=89.95,
    ),
    "worker_announcement": WorkerAnnouncement(
        instance="host-0",
        url="http://10.0.0.7:6066",
        generation=5,
        partitions={"users": [0, 1], "items": [0, 1], "trainer": [0]},
    ),
    "model_snapshot": ModelSnapshot(
        model="churn",
        model_version="churn-184",
        event_time=_NOW,
        examples=18_400,
        format=1,
        state={"features": ["recency_days"], "weights": [0.31], "intercept": -0.2},
    ),
    "user_profile": UserProfile(
        subject="u:c-4711",
        partition=3,
        offset=1042,
        event_counts={"view_item": 31, "add_to_cart": 4, "purchase": 2},
        first_event=_NOW - 40 * 86_400_000,
        last_event=_NOW,
        spend=171.4,
        recent_items=["sku-1042", "sku-7"],
        pending_labels=4,
        session=UserSession(started=_NOW - 120_000, last_event=_NOW, touches=5),
        risk=UserRisk(0.87, _NOW, "churn-184", [_QUIET]),
        alert=UserAlert(armed=False, last_alert=_NOW),
        recommendations=[_SHOES],
    ),
    "item_profile": ItemProfile(
        item_id="sku-1042",
        partition=1,
        offset=907,
        touches=512,
        popularity=83.4,
        event_time=_NOW,
        neighbours=[Partnership("sku-7", 12.5, 3.25, 0.4)],
        category="Shoes",
        price=89.95,
    ),
    "catalog_item": CatalogItem("sku-1042", "Shoes", "Acme", 89.95, False, "Trail shoe", 1_772_000_000_000),
    "list_rule": ListRule("summer-sale", "boost", category="Shoes", factor=2.0, note="until stocks are gone"),
}
"""By the name of their schema file."""


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document.

    Parameters
    ----------
    name
        A key of `SAMPLES`.

    >>> json_schema("event")["required"]
    ['event_id', 'event_name', 'event_time']
    """
    struct = type(SAMPLES[name])
    (reference,), parts = msgspec.json.schema_components([struct])
    for part in parts.values():
        if "description" in part:
            part["description"] = cleandoc(part["description"])
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:keepstream:schema:{name}",
        **parts.pop(reference["$ref"].rpartition("/")[2]),
    }
    if struct is Event:
        # One of both ids must be there, and be more than null.
        schema["anyOf"] = [
            {"properties": {field: {"type": "string"}}, "required": [field]}
            for field in ("user_id", "anonymous_id")
        ]
    if parts:
        schema["$defs"] = parts
    return schema
