"""What candidates are drawn from: the contract of every source of partners and popularity."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from online_models.events import Floats, Int64s, UInt64s
from online_models.items.pairs import Floats32
from online_models.items.settings import CooccurrenceSettings

Int32s = npt.NDArray[np.int32]

LEAST_HEAT: Final = -20.0
"""Of an item that nobody touches any more: a millionth of a touch."""


class Neighbourhood(NamedTuple):
    """The partners of n items.

    Parameters
    ----------
    partners
        (n, p) rows of the partners, strongest first; -1 where there are fewer.
    weights
        (n, p, 3) forward weight, backward weight, lag-1 share.
    instant
        (n,) the time to which the weights are decayed, in half-lives.
    """

    partners: Int32s
    weights: Floats32
    instant: Floats


class NeighbourSource(Protocol):
    """What candidates are drawn from: the broadcast table, or an items' store read directly.

    Rows are indices of the source; -1 stands for an unknown item, which no method but `rows_of` returns
    where a known one was asked for. Heat is log2 of a decayed count plus its time in half-lives: minus the
    present instant it is log2 of the count decayed to the present.
    """

    settings: CooccurrenceSettings

    @property
    def size(self) -> int:
        """Upper bound of the rows."""

    def rows_of(self, hashes: UInt64s) -> Int64s:
        """Return the rows of items by hash, in the same shape, -1 where unknown."""

    def hashes(self, rows: Int64s) -> UInt64s:
        """Return the hashes of known rows (n,)."""

    def neighbours(self, rows: Int64s | Int32s, most: int | None = None) -> Neighbourhood:
        """Return the partners of known rows (n,), at most so many."""

    def heat(self, rows: Int64s | Int32s) -> tuple[Floats, Floats]:
        """Return slow and fast heat of known rows (n,); -inf where never touched."""

    def popular(self) -> Int64s:
        """Return the rows that are popular now, hottest first."""

    def of_same_category(self, rows: Int64s) -> Int64s:
        """Return (n, m) hottest rows of the categories of rows (n,), -1 where there are fewer."""

    def categories(self, rows: Int64s) -> Int64s:
        """Return category codes of known rows (n,); 0 = unknown."""

    def category_code(self, name: str) -> int:
        """Return the code of a category, one that no item has where it is not known."""

    def prices(self, rows: Int64s) -> Floats:
        """Return the latest prices of known rows (n,); NaN where unknown."""

    def item_id(self, row: int) -> str:
        """Return the id of an item, "" where only its hash is known."""

    def item_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of several items."""

    def nameless(self, rows: Int64s) -> npt.NDArray[np.bool_]:
        """Return which of known rows (n,) are known by their hash only."""

    def category(self, row: int) -> str:
        """Return the category of an item, "" where unknown."""


def present_heat(source: NeighbourSource, rows: Int64s | Int32s, now_ms: int) -> Floats:
    """Return log2 of the touches of known rows (n,), decayed to an event time, `LEAST_HEAT` at least."""
    heat, _ = source.heat(rows)
    return np.maximum(heat - now_ms / source.settings.half_life_ms, LEAST_HEAT)


def present(source: NeighbourSource, rows: Int64s | Int32s, now_ms: int) -> tuple[Floats, Floats]:
    """Return log2 of the touches of known rows (n,) decayed slowly and fast, `LEAST_HEAT` at least."""
    slow, fast = source.heat(rows)
    settings = source.settings
    return (
        np.maximum(slow - now_ms / settings.half_life_ms, LEAST_HEAT),
        np.maximum(fast - now_ms / settings.lately_half_life_ms, LEAST_HEAT),
    )


def log2_or_none(counts: Floats) -> Floats:
    """Return log2, -inf for zero, without a warning."""
    with np.errstate(divide="ignore"):
        heat: Floats = np.log2(counts)
    return heat
