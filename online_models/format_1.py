"""Layouts of rows of format 1, which name their version and size only: release 0.1 wrote them.

Frozen: whatever becomes of the present layouts, these say what is in old changelogs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from online_models.layout import Labels, Schema

_EVENTS: Final = (
    "view_item_list",
    "select_item",
    "view_item",
    "search",
    "add_to_wishlist",
    "add_to_cart",
    "remove_from_cart",
    "view_cart",
    "begin_checkout",
    "add_payment_info",
    "purchase",
    "refund",
    "login",
    "sign_up",
    "review_submitted",
    "support_message",
    "recommendation_shown",
    "intervention_sent",
    "intervention_opened",
    "intervention_redeemed",
    "user_erased",
    "other",
)
_DECAYED: Final = ("sessions", "activity", "views", "carts", "purchases", "spend")
_HALF_LIVES: Final = ("1d", "7d", "30d", "90d")
FEATURES: Final = (
    "recency",
    "recency_linear",
    "tenure",
    "sessions",
    "gap_mean",
    "gap_deviation",
    "recency_over_gap",
    "has_gap",
    "bgnbd",
    "sessions_7d",
    "sessions_30d",
    "sessions_90d",
    "activity_1d",
    "activity_7d",
    "activity_30d",
    "views_7d",
    "views_30d",
    "carts_7d",
    "carts_30d",
    "purchases_7d",
    "purchases_30d",
    "purchases_90d",
    "spend_30d",
    "spend_90d",
    "trend",
    "purchase_recency",
    "order_value",
    "cart_left",
    "categories",
    "item_returns",
    "rating_mean",
    "rating_last",
)
"""Features of frozen vectors, in their order."""

_VERSION: Final = 1
Field = tuple[Any, ...]


def users(version: int, size: int, bought_items: int) -> Schema | None:
    """Return the schema of a user's row; how many touches it remembers follows from its size."""
    fields: list[Field] = [
        ("first_ms", "<i8"),
        ("last_ms", "<i8"),
        ("event_counts", "<u4", (len(_EVENTS),)),
        ("session", "<u8"),
        ("session_start_ms", "<i8"),
        ("session_touches", "<u4"),
        ("sessions", "<u4"),
        ("recent", "<u8"),
        ("bought", "<u8", (bought_items,)),
        ("bought_ms", "<i8", (bought_items,)),
        ("anchor", "<i4"),
        ("decayed", "<f4", (len(_DECAYED), len(_HALF_LIVES))),
        ("gaps", "<f8", (2,)),
        ("spend", "<f8"),
        ("purchase_ms", "<i8"),
        ("cart_ms", "<i8"),
        ("cart_items", "<i4"),
        ("item_returns", "<u4"),
        ("categories", "<u8"),
        ("ratings", "<u4"),
        ("rating_sum", "<f4"),
        ("rating_last", "<f4"),
        ("score", "<f4"),
        ("score_version", "<i4"),
        ("score_ms", "<i8"),
        ("alert_ms", "<i8"),
    ]
    labels = {"event_counts": (_EVENTS,), "decayed": (_DECAYED, _HALF_LIVES)}
    return _schema((version, size), fields, ("recent",), labels)


def landmarks(version: int, size: int) -> Schema | None:
    """Return the schema of a user's frozen features; how many slots there are follows from the size."""
    fields: list[Field] = [
        ("landmark_ms", "<i8"),
        ("back_ms", "<i8"),
        ("hazard_done", "?"),
        ("features", "<f4", (len(FEATURES),)),
    ]
    growing = ("landmark_ms", "back_ms", "hazard_done", "features")
    return _schema((version, size), fields, growing, {"features": (None, FEATURES)})


def items(version: int, size: int, units: Mapping[str, int]) -> Schema | None:
    """Return the schema of an item's row, whose half-lives are taken to be those in force now."""
    fields: list[Field] = [
        ("hash", "<u8"),
        ("category", "<u8"),
        ("touches", "<i8"),
        ("last_ms", "<i8"),
        ("price", "<f8"),
        ("popularity", "<f8"),
        ("lately", "<f8"),
        ("epoch", "<i4"),
        ("lately_epoch", "<i4"),
        ("used", "<i8"),
        ("partner", "<u8"),
        ("weights", "<f4", (3,)),
    ]
    return _schema((version, size), fields, ("partner", "weights"), {}, units)


def _schema(
    row: tuple[int, int],
    fields: Sequence[Field],
    growing: Sequence[str],
    labels: Labels,
    units: Mapping[str, int] | None = None,
) -> Schema | None:
    """Return the schema whose growing fields have as many entries as the size asks for, None if none has."""
    version, size = row
    single = np.dtype(list(fields))
    step = sum(single[name].itemsize for name in growing)
    entries, rest = divmod(size - single.itemsize + step, step)
    if version != _VERSION or rest or entries < 1:
        return None
    shaped = [
        (name, kind, (entries, *inner[0]) if inner else (entries,))
        if name in growing
        else (name, kind, *inner)
        for name, kind, *inner in fields
    ]
    return Schema(np.dtype(shaped), version, labels, units or {})
