"""Exact quality of ranked lists: where the wanted item stood, and what the lists are made of.

References
----------
.. [1] Voorhees, 1999. The TREC-8 question answering track report (mean reciprocal rank).
.. [2] Vargas, Castells, 2011. Rank and relevance in novelty and diversity metrics for recommender systems.
.. [3] Ziegler, McNee, Konstan, Lausen, 2005. Improving recommendation lists through topic diversification.
.. [4] Fleder, Hosanagar, 2009. Blockbuster culture's next rise or fall (the Gini coefficient of sales).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from online_models.errors import InvalidParameterError
from online_models.events import Floats, Int64s, UInt64s

CUTOFFS: Final = (5, 10, 20)
"""The list lengths judged unless told otherwise."""


def ranks_of(targets: UInt64s, lists: UInt64s) -> Int64s:
    """Return where each target stands in its list: 0 for the head, -1 where the list lacks it.

    Parameters
    ----------
    targets
        (n,) ids of the wanted items.
    lists
        (n, k) ids, best first, filled up with 0.

    Examples
    --------
    >>> ranks_of(np.array([7, 8], dtype=np.uint64), np.array([[9, 7], [9, 7]], dtype=np.uint64)).tolist()
    [1, -1]
    """
    found = lists == targets[:, np.newaxis]
    return np.where(found.any(axis=1), found.argmax(axis=1), -1)


def hits(ranks: Int64s, cutoff: int) -> Floats:
    """Return (n,) 1 where the target is among the first `cutoff`, else 0."""
    return ((ranks >= 0) & (ranks < cutoff)).astype(np.float64)


def reciprocal_ranks(ranks: Int64s, cutoff: int) -> Floats:
    """Return (n,) 1 over the target's place, counted from 1, and 0 beyond the first `cutoff` [1]_."""
    return np.asarray(hits(ranks, cutoff) / (np.maximum(ranks, 0) + 1))


class RankingQuality:
    """Hit rate and mean reciprocal rank at several cutoffs, over all cases and over those that are no repeat.

    A repeat is a case whose target was touched before in the same session.

    Parameters
    ----------
    cutoffs
        The list lengths to judge.

    Raises
    ------
    InvalidParameterError
        If there is no cutoff or one is below 1.

    Examples
    --------
    >>> quality = RankingQuality(cutoffs=(2,))
    >>> quality.update(np.array([0, 1, -1]), repeats=np.array([True, False, False]))
    >>> quality.get()["mrr@2"], quality.get()["new_mrr@2"]
    (0.5, 0.25)
    """

    def __init__(self, cutoffs: Sequence[int] = CUTOFFS) -> None:
        if not cutoffs or min(cutoffs) < 1:
            raise InvalidParameterError(f"cutoffs must be at least 1, got {tuple(cutoffs)}")
        self.cutoffs = tuple(cutoffs)
        self.cases = 0
        self.new_cases = 0
        self._sums = np.zeros((2, len(self.cutoffs), 2))

    def update(self, ranks: Int64s, repeats: npt.NDArray[np.bool_]) -> None:
        """Take (n,) ranks of targets, -1 for a miss, and whether each repeats an item of its session."""
        new = ~repeats
        self.cases += len(ranks)
        self.new_cases += int(np.count_nonzero(new))
        for place, cutoff in enumerate(self.cutoffs):
            for measure, values in enumerate((hits(ranks, cutoff), reciprocal_ranks(ranks, cutoff))):
                self._sums[measure, place] += (values.sum(), values[new].sum())

    def get(self) -> dict[str, float]:
        """Return ``hit_rate@k`` and ``mrr@k``; with ``new_`` before them, of cases without repeats."""
        totals = np.array([self.cases, self.new_cases], dtype=np.float64)
        means = np.divide(self._sums, totals, out=np.full_like(self._sums, np.nan), where=totals > 0)
        return {
            f"{prefix}{name}@{cutoff}": float(means[measure, place, part])
            for part, prefix in enumerate(("", "new_"))
            for place, cutoff in enumerate(self.cutoffs)
            for measure, name in enumerate(("hit_rate", "mrr"))
        }


class ListProperties:
    """What recommendation lists are made of, apart from whether they hit.

    *Coverage* is the share of the known items that stood in some list; *novelty* the mean surprise
    ``-log2(share of touches)`` of a recommended item [2]_; *diversity* the share of pairs within a list that
    are of different categories [3]_, over lists with at least two known categories; *gini* how unequally the
    lists favour items, over all known items: 0 for all alike, near 1 for a few taking all places [4]_.

    Examples
    --------
    >>> lists = ListProperties()
    >>> items = np.array([[1, 2], [1, 3]], dtype=np.uint64)
    >>> lists.update(items, np.array([[0.5, 0.25], [0.5, 0.25]]), np.array([[8, 9], [8, 8]], dtype=np.uint64))
    >>> lists.get(known=4)
    {'coverage': 0.75, 'novelty': 1.5, 'diversity': 0.5, 'gini': 0.375}
    """

    def __init__(self) -> None:
        self._shown: dict[int, int] = {}
        self._surprise = 0.0
        self._places = 0
        self._diversity = 0.0
        self._diverse_lists = 0

    def update(self, lists: UInt64s, shares: Floats, categories: UInt64s | None = None) -> None:
        """Take lists.

        Parameters
        ----------
        lists
            (n, k) item ids, filled up with 0.
        shares
            (n, k) share of each item in all touches so far; not above 0 where there is none.
        categories
            (n, k) ids of categories, 0 where unknown.
        """
        ids, counts = np.unique(lists[lists != 0], return_counts=True)
        for item, count in zip(ids.tolist(), counts.tolist(), strict=True):
            self._shown[item] = self._shown.get(item, 0) + count
        known = (lists != 0) & (shares > 0)
        self._surprise -= float(np.log2(shares[known]).sum())
        self._places += int(np.count_nonzero(known))
        if categories is not None:
            self._add_diversity(np.where(lists != 0, categories, np.uint64(0)))

    def get(self, known: int) -> dict[str, float]:
        """Return the four properties, given how many items are known; NaN while undefined."""
        nan = float("nan")
        return {
            "coverage": len(self._shown) / known if known else nan,
            "novelty": self._surprise / self._places if self._places else nan,
            "diversity": self._diversity / self._diverse_lists if self._diverse_lists else nan,
            "gini": gini(np.array(list(self._shown.values()), dtype=np.float64), known)
            if self._shown
            else nan,
        }

    def _add_diversity(self, categories: UInt64s) -> None:
        present = categories != 0
        sizes = present.sum(axis=1)
        pairs = sizes * (sizes - 1) / 2
        same = np.zeros(len(categories))
        ordered = np.sort(categories, axis=1)
        for step in range(1, ordered.shape[1]):
            equal = (ordered[:, step:] == ordered[:, :-step]) & (ordered[:, step:] != 0)
            if not equal.any():
                break
            same += equal.sum(axis=1)
        counted = pairs > 0
        self._diversity += float((1 - same[counted] / pairs[counted]).sum())
        self._diverse_lists += int(np.count_nonzero(counted))


def gini(counts: Floats, known: int) -> float:
    """Return the Gini coefficient of `counts` over `known` items, those not counted having none [4]_.

    Examples
    --------
    >>> gini(np.array([1.0, 1.0]), 2), gini(np.array([1.0]), 4)
    (0.0, 0.75)
    """
    ordered = np.sort(counts)
    missing = max(known - len(ordered), 0)
    total = float(ordered.sum())
    size = missing + len(ordered)
    if not total:
        return float("nan")
    places = np.arange(missing + 1, size + 1)
    return float(((2 * places - size - 1) * ordered).sum() / (size * total))
