"""How the lists that were published fare: each is judged by the next other item its user touches."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.evaluation.list_quality import ListQuality
from online_models.evaluation.prequential import FadingRanking
from online_models.events import UInt64s

_HALF_LIFE: Final = 10_000
_TOGETHER: Final = 100
"""Judged lists that are added up at once."""


class _Pending(NamedTuple):
    items: UInt64s
    popular: UInt64s
    current: int


class LiveLists:
    """Prequential quality of published lists beside the most popular items of the same moment.

    A list is judged once, by the first item its user touches after it that is not the one already on the
    screen, which no list holds. Lists are kept in memory only; the oldest beyond `capacity` are forgotten
    unjudged.

    Parameters
    ----------
    capacity
        Lists kept for judgement.
    half_life
        After how many later cases a case weighs half.

    Attributes
    ----------
    cases
        Lists judged so far.
    quality
        What published lists are made of.

    Raises
    ------
    InvalidParameterError
        When `capacity` is below 1.

    Examples
    --------
    >>> live = LiveLists()
    >>> popular = np.array([9, 8], np.uint64)
    >>> live.published(["u:1"], [np.array([5, 7], np.uint64)], popular, current=[4])
    >>> live.touched(["u:1", "u:1", "u:2"], [4, 7, 7])
    >>> live.get()["lists"]["mrr@20"], live.get()["popularity"]["hit_rate@20"]
    (0.5, 0.0)
    """

    def __init__(self, capacity: int = 50_000, half_life: float = _HALF_LIFE) -> None:
        if capacity < 1:
            raise InvalidParameterError(f"capacity must be at least 1, got {capacity}")
        self._capacity = capacity
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._lists = FadingRanking(half_life=half_life)
        self._popularity = FadingRanking(half_life=half_life)
        self._ranks: list[tuple[int, int]] = []
        self.cases = 0
        self.quality = ListQuality()

    def published(
        self, subjects: Sequence[str], lists: Sequence[UInt64s], popular: UInt64s, current: Sequence[int]
    ) -> None:
        """Keep lists, best first, for judgement; a later list of a user replaces an earlier one.

        Parameters
        ----------
        subjects, lists
            n users and the hashes of their lists' items.
        popular
            Hashes of the most popular items of the moment.
        current
            n hashes: the item each user was looking at.
        """
        for subject, items, shown in zip(subjects, lists, current, strict=True):
            self._pending.pop(subject, None)
            self._pending[subject] = _Pending(items, popular, shown)
        while len(self._pending) > self._capacity:
            self._pending.popitem(last=False)

    def touched(self, subjects: Sequence[str], items: Sequence[int]) -> None:
        """Judge the lists of users by the items they touch, in log order."""
        before = len(self._ranks)
        for subject, item in zip(subjects, items, strict=True):
            pending = self._pending.get(subject)
            if pending is not None and item != pending.current:
                del self._pending[subject]
                self._ranks.append((_rank(pending.items, item), _rank(pending.popular, item)))
        self.cases += len(self._ranks) - before
        if len(self._ranks) >= _TOGETHER:
            self._take()

    def forget(self, subject: str) -> None:
        """Drop the list of an erased user."""
        self._pending.pop(subject, None)

    def get(self) -> dict[str, dict[str, float]]:
        """Return the metrics of the lists with what they are made of, and of the popularity baseline."""
        self._take()
        return {"lists": self._lists.get() | self.quality.get(), "popularity": self._popularity.get()}

    def _take(self) -> None:
        """Add up the places that were found since the last time."""
        if self._ranks:
            columns = np.array(self._ranks, np.int64)
            self._ranks = []
            self._lists.update(columns[:, 0])
            self._popularity.update(columns[:, 1])


def _rank(items: UInt64s, item: int) -> int:
    # Lists are short: a list of numbers is searched before an array has been compared.
    plain = items.tolist()
    return plain.index(item) if item in plain else -1
