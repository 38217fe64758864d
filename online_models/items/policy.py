"""What a list leaves out, whatever the ranking says, and the settings of the list policy."""

from dataclasses import dataclass

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Int64s, UInt64s
from online_models.items.candidates import Candidates
from online_models.items.histories import Histories
from online_models.items.slots import Bools
from online_models.items.source import NeighbourSource
from online_models.kernels import kernel


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
    diversity
        Weight of dissimilarity against relevance, 0 to below 1; 0 leaves the ranking as it is.
    popularity_damping
        Power of an item's popularity by which its odds are divided, 0 to 1.
    cold_share
        Share of a list kept for new items of the catalogue, 0 to 0.5; a list of 20 has one at 0.05.

    Raises
    ------
    InvalidParameterError
        When a value is outside its range.
    """

    repurchase_window_ms: int = 14 * 86_400_000
    category_share: float = 0.5
    depth: int = 3
    diversity: float = 0.0
    popularity_damping: float = 0.0
    cold_share: float = 0.05

    def __post_init__(self) -> None:
        if self.repurchase_window_ms < 0:
            raise InvalidParameterError(
                f"repurchase_window_ms must be at least 0, got {self.repurchase_window_ms}"
            )
        if not 0.0 < self.category_share <= 1.0:
            raise InvalidParameterError(f"category_share must be above 0 to 1, got {self.category_share}")
        if self.depth < 1:
            raise InvalidParameterError(f"depth must be at least 1, got {self.depth}")
        if not 0.0 <= self.diversity < 1.0:
            raise InvalidParameterError(f"diversity must be 0 to below 1, got {self.diversity}")
        for name, most in (("popularity_damping", 1.0), ("cold_share", 0.5)):
            if not 0.0 <= getattr(self, name) <= most:
                raise InvalidParameterError(f"{name} must be 0 to {most}, got {getattr(self, name)}")


def excluded(
    settings: PolicySettings,
    candidates: Candidates,
    histories: Histories,
    source: NeighbourSource,
    now_ms: int,
) -> Bools:
    """Return which candidates may not be listed: bought a short while ago, or looked at just now.

    Items known by their hash only cannot be listed either.

    Parameters
    ----------
    settings
        The repurchase window.
    candidates, histories, source
        The candidates of n users, their histories, and where the rows belong.
    now_ms
        Present event time, epoch milliseconds.
    """
    out = source.nameless(candidates.row)
    if candidates.touched.shape[1]:
        shown = np.where(histories.in_session > 0, candidates.touched[:, 0], -1)
        out |= candidates.row == shown[candidates.user]
    lately = (histories.bought != 0) & (histories.bought_ms > now_ms - settings.repurchase_window_ms)
    if lately.any():
        _strike(candidates.start, candidates.row, source.rows_of(np.where(lately, histories.bought, 0)), out)
    return out


@kernel("void(i8[::1], i8[::1], i8[:, ::1], b1[::1])")
def _strike(start: Int64s, row: Int64s, bought: Int64s, out: Bools) -> None:
    """Mark the candidates that a user has bought, by rows (n, b) with -1 for none."""
    for user in range(bought.shape[0]):
        for place in range(bought.shape[1]):
            if bought[user, place] >= 0:
                for one in range(start[user], start[user + 1]):
                    out[one] |= row[one] == bought[user, place]


def met(settings: PolicySettings, histories: Histories, items: UInt64s, now_ms: int) -> Bools:
    """Return (n, p) which of p items, by hash, each of n users bought a short while ago or looks at now."""
    lately = histories.bought_ms > now_ms - settings.repurchase_window_ms
    bought = (histories.bought[:, :, None] == items) & lately[:, :, None]
    if not histories.items.shape[1]:
        return np.asarray(bought.any(axis=1), np.bool_)
    shown = np.where(histories.in_session > 0, histories.items[:, 0], 0)
    return np.asarray(bought.any(axis=1) | (shown[:, None] == items), np.bool_)
