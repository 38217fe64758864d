"""How often what a user touched next was among the candidates, by the source that offered it.

What is no candidate cannot be ranked, however good the ranking: their recall bounds the hit rate.
"""

from collections.abc import Mapping
from typing import Final

KEPT: Final = "kept"
ANY: Final = "any source"


class CandidateRecall:
    """The share of cases that each source of candidates could serve, and that no other could.

    Examples
    --------
    >>> recall = CandidateRecall()
    >>> recall.update({3}, {"partners": {3, 4}, "own items": {5}}, kept={3})
    >>> recall.update({5}, {"partners": {4}, "own items": {5}}, kept={4})
    >>> recall.get()["own items"], recall.get()["kept"]["recall"]
    ({'recall': 0.5, 'alone': 0.5, 'offered': 1.0}, 0.5)
    """

    def __init__(self) -> None:
        self._cases = 0
        self._sums: dict[str, list[int]] = {}

    def update(self, targets: set[int], offers: Mapping[str, set[int]], kept: set[int]) -> None:
        """Take a case.

        Parameters
        ----------
        targets
            What was touched; any of it counts.
        offers
            What each source offered.
        kept
            What was kept of all offers for ranking.
        """
        self._cases += 1
        serving = [name for name, items in offers.items() if not targets.isdisjoint(items)]
        for name, items in offers.items():
            self._add(name, name in serving, serving == [name], len(items))
        self._add(ANY, bool(serving), False, len(set().union(*offers.values())))
        self._add(KEPT, not targets.isdisjoint(kept), False, len(kept))

    def get(self) -> dict[str, dict[str, float]]:
        """Return by source ``recall``, ``alone`` (no other source had it) and ``offered`` (mean items)."""
        return {
            name: dict(zip(("recall", "alone", "offered"), (s / self._cases for s in sums), strict=True))
            for name, sums in self._sums.items()
        }

    def _add(self, name: str, *gains: int) -> None:
        sums = self._sums.setdefault(name, [0, 0, 0])
        for place, gain in enumerate(gains):
            sums[place] += gain
