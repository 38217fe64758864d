"""The layout of a user's landmarks: frozen features in slots, and how they move when the slots change."""

from functools import partial
from typing import Any, Final

import numpy as np

from online_models import format_1
from online_models.churn.features import FEATURE_NAMES, FEATURES_VERSION
from online_models.churn.settings import UserSettings
from online_models.layout import Layout, Rows, Schema, carry

_AXES: Final = (None, FEATURE_NAMES)


def landmark_layout(settings: UserSettings) -> Layout:
    """Return the layout of landmarks.

    Features are carried over by name; one that a landmark lacks is 0. Horizon and hazard step are no part of
    a row: it holds when the user first came back, which answers every question of that kind. So landmarks
    that wait when the horizon changes get the label of the new one.
    """
    slots = settings.landmark_slots
    fields: list[tuple[Any, ...]] = [
        ("landmark_ms", "<i8", (slots,)),
        ("back_ms", "<i8", (slots,)),
        ("hazard_done", "?", (slots,)),
        ("features", "<f4", (slots, len(FEATURE_NAMES))),
    ]
    interval_ms = settings.landmark_interval_ms
    schema = Schema(
        np.dtype(fields), FEATURES_VERSION, {"features": _AXES}, {"landmark_interval_ms": interval_ms}
    )
    return Layout(
        schema,
        fit=partial(_place, slots=slots, interval_ms=interval_ms),
        unnamed=format_1.landmarks,
    )


def slot_of(time_ms: Any, slots: int, interval_ms: int) -> Any:
    """Return the slot of a landmark, or of an array of them."""
    return time_ms // interval_ms % slots


def _place(old: Rows, new: Rows, source: Schema, *, slots: int, interval_ms: int) -> None:
    """Put every landmark into its slot; where two meet, the newer stays."""
    held = old["landmark_ms"]
    wide = (held.shape[1], len(FEATURE_NAMES))
    columns = {name: old[name] for name in ("landmark_ms", "back_ms", "hazard_done")}
    columns["features"] = carry(old["features"], source.axes("features"), _AXES, wide)
    new[:] = np.zeros((), new.dtype)
    for place in np.argsort(held, axis=1, kind="stable").T:
        rows = np.flatnonzero(held[np.arange(len(old)), place] > 0)
        slot = slot_of(held[rows, place[rows]], slots, interval_ms)
        for name, values in columns.items():
            new[name][rows, slot] = values[rows, place[rows]]
