"""What a list leaves out or moves back, whatever the ranking says."""

from dataclasses import dataclass

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Int64s, UInt64s
from online_models.items.candidates import Candidates
from online_models.items.histories import Histories
from online_models.items.slots import Bools
from online_models.items.source import NeighbourSource


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The list policy.

    Parameters
    ----------
    repurchase_window_ms
        An item bought less than this ago is left out, milliseconds; 0 leaves nothing out.
    category_share
        Share of a list that one category may fill while others have candidates, above 0 to 1.
    depth
        Ranks considered for a list of k are ``depth * k``, at least 1.

    Raises
    ------
    InvalidParameterError
        When a value is outside its range.
    """

    repurchase_window_ms: int = 14 * 86_400_000
    category_share: float = 0.5
    depth: int = 3

    def __post_init__(self) -> None:
        if self.repurchase_window_ms < 0:
            raise InvalidParameterError(
                f"repurchase_window_ms must be at least 0, got {self.repurchase_window_ms}"
            )
        if not 0.0 < self.category_share <= 1.0:
            raise InvalidParameterError(f"category_share must be above 0 to 1, got {self.category_share}")
        if self.depth < 1:
            raise InvalidParameterError(f"depth must be at least 1, got {self.depth}")


def excluded(
    settings: PolicySettings,
    candidates: Candidates,
    histories: Histories,
    source: NeighbourSource,
    now_ms: int,
    *,
    withdrawn: UInt64s,
) -> Bools:
    """Return which candidates may not be listed: withdrawn, bought a short while ago, or looked at just now.

    Items known by their hash only cannot be listed either.

    Parameters
    ----------
    settings
        The repurchase window.
    candidates, histories, source
        The candidates of n users, their histories, and where the rows belong.
    now_ms
        Present event time, epoch milliseconds.
    withdrawn
        Hashes of items that must not be listed: erased, or out of stock.
    """
    out = source.nameless(candidates.row)
    if withdrawn.size:
        out |= np.isin(candidates.row, source.rows_of(withdrawn))
    if histories.items.shape[1]:
        shown = source.rows_of(np.where(histories.in_session > 0, histories.items[:, 0], 0))
        out |= candidates.row == shown[candidates.user]
    lately = histories.bought_ms > now_ms - settings.repurchase_window_ms
    users, places = np.nonzero((histories.bought != 0) & lately)
    if users.size:
        rows = source.rows_of(histories.bought[users, places])
        bought = (users * source.size + rows)[rows >= 0]
        out |= np.isin(candidates.user * source.size + candidates.row, bought)
    return out


def spread_categories(settings: PolicySettings, rows: Int64s, source: NeighbourSource, k: int) -> Int64s:
    """Return the places (n, k) of the ranked rows that make the list, in order.

    A category keeps its best items up to its share of the list; what exceeds it moves behind everything
    else. This is maximal marginal relevance with a similarity of one within a category, beyond the cap.

    Parameters
    ----------
    settings
        The share of a category.
    rows
        (n, d) ranked rows, -1 where there are fewer.
    source
        Where the categories are read.
    k
        Length of a list.

    References
    ----------
    Carbonell, Goldstein: The use of MMR, diversity-based reranking for reordering documents, 1998.
    """
    cap = max(1, int(np.ceil(k * settings.category_share)))
    codes = np.where(rows >= 0, source.categories(rows), 0)
    same = (codes[:, :, None] == codes[:, None, :]) & (codes != 0)[:, :, None]
    before = np.tril(np.ones(same.shape[1:], np.bool_), -1)
    over = (same & before).sum(axis=2) >= cap
    behind = np.where(rows < 0, 2, over)
    places: Int64s = np.argsort(behind, axis=1, kind="stable")[:, :k]
    return places
