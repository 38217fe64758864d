"""The layout of a user's row, and what it grows by with each event."""

import math
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models import format_1
from online_models.churn.quarantine import FIELDS as QUARANTINE_FIELDS
from online_models.churn.settings import DAY_MS, UserSettings
from online_models.clock import NEVER
from online_models.events import (
    EVENT_NAMES,
    KIND,
    SILENT_KINDS,
    TOUCH_KINDS,
    EventBatch,
    Floats,
    Int8s,
    Int64s,
)
from online_models.layout import Layout, Schema
from online_models.sessions import SessionCut

VERSION: Final = 1
"""Goes up when a field keeps its name and changes its meaning (`ANCHOR_MS` is part of that), together with an
upgrade in `user_layout`. Fields, events, counters and half-lives that come or go need no new version."""

HALF_LIVES_DAYS: Final = (1, 7, 30, 90)
DECAYED: Final = ("sessions", "activity", "views", "carts", "purchases", "spend")
"""Counters that fade with each of the half-lives."""

ANCHOR_MS: Final = 32 * DAY_MS
"""Decayed counters are held as if seen from the start of the present stretch of this length: then an event
adds a weight that depends on its own time only, and order and batches do not matter."""

MAX_SPEND: Final = 1e9

Rows = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

IS_ACTIVITY: Final = ~np.isin(np.arange(len(EVENT_NAMES)), SILENT_KINDS)
IS_TOUCH: Final = np.isin(np.arange(len(EVENT_NAMES)), TOUCH_KINDS)
_VIEWS: Final = np.isin(np.arange(len(EVENT_NAMES)), [KIND["view_item"], KIND["select_item"]])
_CART, _UNCART, _PURCHASE = KIND["add_to_cart"], KIND["remove_from_cart"], KIND["purchase"]
_RATES: Final = np.array([np.log(2) / (days * DAY_MS) for days in HALF_LIVES_DAYS])


def user_dtype(settings: UserSettings) -> np.dtype[np.void]:
    """Return the row of one user; times are epoch milliseconds, 0 where never.

    `anchor` is the stretch from which `decayed` is seen; gaps between sessions are summed in days.
    `alert_log` holds the latest alerts, newest first; `calmed` tells whether the risk has fallen since;
    `held_ms` when an alert that is held back is looked at again. `won_ms` is the latest return after a
    horizon of silence; `stage` and `segment` are what was last published of the profile, 0 for nothing.
    """
    return np.dtype(
        [
            ("first_ms", "<i8"),
            ("last_ms", "<i8"),
            ("event_counts", "<u4", (len(EVENT_NAMES),)),
            ("session", "<u8"),
            ("session_start_ms", "<i8"),
            ("session_touches", "<u4"),
            ("sessions", "<u4"),
            ("recent", "<u8", (settings.recent_items,)),
            ("bought", "<u8", (settings.bought_items,)),
            ("bought_ms", "<i8", (settings.bought_items,)),
            ("own", "<u8", (settings.own_items,)),
            ("own_count", "<u2", (settings.own_items,)),
            ("own_s", "<u4", (settings.own_items,)),
            ("anchor", "<i4"),
            ("decayed", "<f4", (len(DECAYED), len(HALF_LIVES_DAYS))),
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
            *QUARANTINE_FIELDS,
            ("alert_log", "<i8", (settings.alerts.frequency_cap,)),
            ("calmed", "?"),
            ("held_ms", "<i8"),
            ("won_ms", "<i8"),
            ("stage", "u1"),
            ("segment", "u1"),
        ]
    )


def user_layout(settings: UserSettings) -> Layout:
    """Return the layout of users' rows; rings are kept newest first, so they can be cut."""
    halves = tuple(f"{days}d" for days in HALF_LIVES_DAYS)
    labels = {"event_counts": (EVENT_NAMES,), "decayed": (DECAYED, halves)}
    return Layout(
        Schema(user_dtype(settings), VERSION, labels),
        exact=frozenset({"event_counts"}),
        unnamed=partial(format_1.users, bought_items=settings.bought_items),
    )


def decayed_at(rows: Rows, now_ms: int) -> Floats:
    """Return (n, kinds, half-lives) the decayed counters as of a time."""
    age = now_ms - rows["anchor"].astype(np.int64) * ANCHOR_MS
    fade = np.exp(-_RATES * np.maximum(age, 0)[:, None])
    return np.asarray(rows["decayed"] * fade[:, None, :], dtype=np.float64)


def move_anchor(rows: Rows, anchor: int) -> None:
    """Let the decayed counters be seen from another stretch, in place."""
    behind = np.flatnonzero(rows["anchor"] != anchor)
    if behind.size:
        age = (anchor - rows["anchor"][behind].astype(np.int64)) * ANCHOR_MS
        fade = np.exp(-_RATES * age[:, None])
        rows["decayed"][behind] = rows["decayed"][behind] * fade[:, None, :]
        rows["anchor"][behind] = anchor


def spend_of(events: EventBatch, index: Int64s) -> Floats:
    """Return (n,) what the given events are worth: their value, else price times quantity of their items."""
    value = events.value[index]
    missing = np.flatnonzero(~np.isfinite(value))
    if missing.size:
        amount = np.nan_to_num(events.price * events.quantity, nan=0.0, posinf=0.0, neginf=0.0)
        value = value.copy()
        for place, event in zip(missing.tolist(), index[missing].tolist(), strict=True):
            value[place] = math.fsum(amount[events.item_start[event] : events.item_start[event + 1]])
    return np.clip(value, 0.0, MAX_SPEND)


def count_kinds(rows: Rows, group: Int64s, kind: Int8s) -> None:
    """Add events to the lifetime counts by name.

    Parameters
    ----------
    rows
        (g,) users.
    group, kind
        (n,) user and kind of every accepted event.
    """
    counts = np.bincount(group * len(EVENT_NAMES) + kind, minlength=rows.size * len(EVENT_NAMES))
    rows["event_counts"] += counts.reshape(rows.size, -1).astype(np.uint32)


def count_activity(rows: Rows, group: Int64s, kind: Int8s, time: Int64s, cut: SessionCut) -> None:
    """Add activity: tenure, sessions and gaps, decayed counts. `spend` is added by `count_purchases`.

    Parameters
    ----------
    rows
        (g,) users whose decayed counters are seen from one anchor.
    group, kind, time
        (n,) user, kind and time of every activity, grouped by user, in log order within.
    cut
        The sessions of exactly these events.
    """
    fresh = rows["sessions"] == 0
    first_ms = np.where(fresh, NEVER, rows["first_ms"])
    np.minimum.at(first_ms, group, time)
    rows["first_ms"] = np.where(first_ms == NEVER, 0, first_ms)
    opened, gap_days = group[cut.opens], cut.gap_ms[cut.opens] / DAY_MS
    rows["sessions"] += np.bincount(opened, minlength=rows.size).astype(np.uint32)
    gaps = rows["gaps"].copy()
    np.add.at(gaps, opened, np.stack((gap_days, gap_days * gap_days), axis=1))
    rows["gaps"] = gaps
    weights = _weights(rows, group, time)
    columns = (cut.opens, np.ones(kind.size, np.bool_), _VIEWS[kind], kind == _CART, kind == _PURCHASE)
    _add_decayed(rows, group, [(number, mask, weights) for number, mask in enumerate(columns)])


def note_returns(rows: Rows, group: Int64s, time: Int64s, cut: SessionCut, horizon_ms: int) -> None:
    """Note who is back after a silence of a horizon; parameters as in `count_activity`."""
    back = cut.opens & (cut.gap_ms >= horizon_ms)
    if back.any():
        _latest(rows, "won_ms", group[back], time[back])


def count_purchases(rows: Rows, group: Int64s, kind: Int8s, time: Int64s, spend: Floats) -> None:
    """Add purchases and carts; parameters as in `count_activity`, `spend` (n,) is read at purchases only."""
    bought = kind == _PURCHASE
    if bought.any():
        weights = _weights(rows, group, time) * spend[:, None]
        _add_decayed(rows, group, [(DECAYED.index("spend"), bought, weights)])
        total = rows["spend"].copy()
        np.add.at(total, group[bought], spend[bought])
        rows["spend"] = total
        _latest(rows, "purchase_ms", group[bought], time[bought])
    change = np.where(kind == _CART, 1, np.where(kind == _UNCART, -1, 0))
    if bought.any() or change.any():
        # A purchase empties the cart: only what comes after a user's last one is left in it.
        last = np.full(rows.size, -1)
        last[group[bought]] = np.flatnonzero(bought)
        base = np.where(last >= 0, 0, rows["cart_items"])
        after = np.arange(kind.size) > last[group]
        rows["cart_items"] = base + np.bincount(group[after], change[after], rows.size).astype(np.int32)
        added = change > 0
        _latest(rows, "cart_ms", group[added], time[added])


def count_ratings(rows: Rows, group: Int64s, rating: Floats) -> None:
    """Add the ratings of (n,) events; NaN where there is none."""
    rated = np.isfinite(rating)
    if rated.any():
        value = np.clip(rating[rated], 1.0, 5.0).astype(np.float32)
        total = rows["rating_sum"].copy()
        np.add.at(total, group[rated], value)
        rows["rating_sum"] = total
        rows["ratings"] += np.bincount(group[rated], minlength=rows.size).astype(np.uint32)
        rows["rating_last"][group[rated]] = value


def _weights(rows: Rows, group: Int64s, time: Int64s) -> Floats:
    since = time - rows["anchor"].astype(np.int64)[group] * ANCHOR_MS
    return np.asarray(np.exp(_RATES * since[:, None]))


def _add_decayed(rows: Rows, group: Int64s, columns: list[tuple[int, Bools, Floats]]) -> None:
    decayed = rows["decayed"].reshape(-1)  # a copy in one piece: additions run in log order
    width, halves = len(DECAYED) * len(HALF_LIVES_DAYS), np.arange(len(HALF_LIVES_DAYS))
    for number, mask, weights in columns:
        places = group[mask, None] * width + number * len(HALF_LIVES_DAYS) + halves
        np.add.at(decayed, places.ravel(), weights[mask].astype(np.float32).ravel())
    rows["decayed"] = decayed.reshape(rows["decayed"].shape)


def _latest(rows: Rows, name: str, group: Int64s, time: Int64s) -> None:
    latest = rows[name].copy()
    np.maximum.at(latest, group, time)
    rows[name] = latest
