"""The layout of an item's row, and what becomes of it when slots or half-lives change."""

from functools import partial
from typing import Any, Final

import numpy as np

from online_models import format_1
from online_models.items.decay import ForwardDecay
from online_models.items.settings import CooccurrenceSettings
from online_models.items.slots import WEIGHTS, strongest
from online_models.layout import Layout, Rows, Schema

VERSION: Final = 1
"""Goes up when a field keeps its name and changes its meaning, together with an upgrade in `item_layout`."""

SLOT_FIELDS: Final = ("partner", "weights")
"""Fields of a row of which most items fill little."""

# The largest steps whose increments, summed over years, stay within float32 and float64.
_WEIGHT_STEP: Final = 32
_LATELY_STEP: Final = 256


def weight_decay(half_life_ms: int) -> ForwardDecay:
    """Return the decay of pair weights and popularity."""
    return ForwardDecay(half_life_ms, step=_WEIGHT_STEP)


def lately_decay(half_life_ms: int) -> ForwardDecay:
    """Return the decay of the faster popularity."""
    return ForwardDecay(half_life_ms, step=_LATELY_STEP)


def item_layout(settings: CooccurrenceSettings) -> Layout:
    """Return the layout of items' rows.

    With fewer slots a row keeps its strongest partners. With another half-life it is worth what it was worth
    at its latest update, and decays at the new pace from there.
    """
    slots = settings.slots
    fields: list[tuple[Any, ...]] = [
        ("hash", "<u8"),
        ("category", "<u8"),
        ("touches", "<i8"),
        ("last_ms", "<i8"),
        ("sent_ms", "<i8"),
        ("price", "<f8"),
        ("popularity", "<f8"),
        ("lately", "<f8"),
        ("epoch", "<i4"),
        ("lately_epoch", "<i4"),
        ("used", "<i8"),
        ("partner", "<u8", (slots,)),
        ("weights", "<f4", (slots, WEIGHTS)),
    ]
    units = {"half_life_ms": settings.half_life_ms, "lately_half_life_ms": settings.lately_half_life_ms}
    return Layout(
        Schema(np.dtype(fields), VERSION, {}, units),
        defaults={"price": np.nan},
        fit=partial(_fit, units=units, slots=slots),
        unnamed=partial(format_1.items, units=units),
    )


def _fit(old: Rows, new: Rows, source: Schema, *, units: dict[str, int], slots: int) -> None:
    if source.shape("partner")[0] > slots:
        kept = strongest(old, slots)
        new["partner"] = np.take_along_axis(old["partner"], kept, axis=1)
        new["weights"] = np.take_along_axis(old["weights"], kept[:, :, None], axis=1)
        new["used"] = np.minimum(old["used"], slots)
    before, after = source.units["half_life_ms"], units["half_life_ms"]
    if before != after:
        growth = _move(new, "epoch", before, weight_decay(after))
        new["popularity"] *= growth
        new["weights"] *= growth[:, None, None]
    before, after = source.units["lately_half_life_ms"], units["lately_half_life_ms"]
    if before != after:
        new["lately"] *= _move(new, "lately_epoch", before, lately_decay(after))


def _move(rows: Rows, epoch: str, half_life_ms: int, decay: ForwardDecay) -> Any:
    """Move epochs to another half-life; return (n,) factors that keep counts' worth at `last_ms`."""
    last_ms = rows["last_ms"]
    before = rows[epoch] - last_ms / half_life_ms
    rows[epoch] = decay.epochs(last_ms)
    return np.exp2(before - (rows[epoch] - last_ms / decay.half_life_ms))
