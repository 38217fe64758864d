"""Which source offers which candidates: what tells the worth of each source, however they are ranked."""

from collections.abc import Mapping

import numpy as np

from online_models.events import Int64s
from online_models.items.evidence import CandidateSettings, two_steps, weighted_neighbours
from online_models.items.histories import Histories
from online_models.items.source import Int32s, NeighbourSource


def offers(
    settings: CandidateSettings, histories: Histories, source: NeighbourSource, now_ms: int
) -> Mapping[str, Int64s]:
    """Return the distinct rows that every source of candidates offers one user, before the best are kept.

    Parameters
    ----------
    settings
        Sources and normalisation.
    histories
        One user.
    source
        Where partners and popularity are read.
    now_ms
        Present event time, epoch milliseconds.
    """
    touched = source.rows_of(histories.items[:, : settings.positions])
    near = weighted_neighbours(settings, touched, source, now_ms)
    far = two_steps(settings, near, source, now_ms)
    found: dict[str, Int64s | Int32s] = {
        "partners": near.partners,
        "two steps": far.partners,
        "newest touches": touched,
        "own items": source.rows_of(histories.own.items),
        "category": source.of_same_category(touched[:, 0]) if touched.shape[1] else touched,
        "popular now": source.popular()[: settings.popular],
    }
    return {name: np.unique(rows[rows >= 0].astype(np.int64)) for name, rows in found.items()}
