"""Simple recommenders that learn from every touch: what the model must beat on the same cases.

References
----------
.. [1] Ludewig, Jannach, 2018. Evaluation of session-based recommendation algorithms (AR and SR).
.. [2] Manku, Motwani, 2002. Approximate frequency counts over data streams (rows are cut in this spirit).
.. [3] Ludewig, Mauro, Latifi, Jannach, 2021. Empirical analysis of session-based recommendation algorithms
   (VSKNN and VSTAN).
.. [4] Garg et al., 2019. Sequence and time aware neighborhood for session-based recommendations (STAN).
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from heapq import nlargest
from operator import itemgetter
from typing import ClassVar, Final

from online_models.errors import InvalidParameterError

_ROW_LIMIT: Final = 1000
_KEPT: Final = 500
_BY_WEIGHT: Final = itemgetter(1)


class Baseline(ABC):
    """A recommender over item ids that ranks for a user before it learns the user's next touch."""

    name: ClassVar[str]

    @abstractmethod
    def rank(self, subject: str, session: list[int], k: int, time_ms: int = 0) -> list[int]:
        """Return up to `k` item ids, best first.

        Parameters
        ----------
        subject
            Who is about to touch an item.
        session
            Items touched so far in the session, oldest first.
        k
            Length of the list.
        time_ms
            Event time, epoch milliseconds.
        """

    @abstractmethod
    def learn(self, subject: str, session: list[int], item: int, time_ms: int = 0) -> None:
        """Learn that `subject` touched `item` after the touches in `session`."""


class Popularity(Baseline):
    """The items touched most often so far.

    Parameters
    ----------
    longest
        The longest list that will be asked for; the head of the order is kept up to date touch by touch.

    Raises
    ------
    InvalidParameterError
        If `longest` is below 1.

    Examples
    --------
    >>> popular = Popularity(longest=2)
    >>> for item in [5, 6, 7, 7, 6, 7]:
    ...     popular.learn("u:ann", [], item)
    >>> popular.rank("u:bob", [], 2), popular.count(5), popular.share(7)
    ([7, 6], 1, 0.5)
    """

    name = "popularity"

    def __init__(self, longest: int = 20) -> None:
        if longest < 1:
            raise InvalidParameterError(f"longest must be at least 1, got {longest}")
        self._longest = longest
        self._counts: dict[int, int] = {}
        self._total = 0
        self._head: list[int] = []

    def __len__(self) -> int:
        """Return the number of items touched so far."""
        return len(self._counts)

    @property
    def touches(self) -> int:
        """Touches of all items so far."""
        return self._total

    def count(self, item: int) -> int:
        """Return how often an item was touched."""
        return self._counts.get(item, 0)

    def share(self, item: int) -> float:
        """Return the item's share of all touches."""
        return self._counts.get(item, 0) / self._total if self._total else 0.0

    def rank(self, subject: str, session: list[int], k: int, time_ms: int = 0) -> list[int]:  # noqa: ARG002  # alike for everyone
        """Return the `k` most popular items, at most `longest`."""
        return self._head[:k]

    def learn(self, subject: str, session: list[int], item: int, time_ms: int = 0) -> None:  # noqa: ARG002  # only counts matter
        """Count the touch and move the item up where it overtakes others."""
        counts, head = self._counts, self._head
        count = counts[item] = counts.get(item, 0) + 1
        self._total += 1
        if item in head:
            place = head.index(item)
        elif len(head) < self._longest:
            place = len(head)
            head.append(item)
        elif count > counts[head[-1]]:
            place = len(head) - 1
            head[place] = item
        else:
            return
        while place and counts[head[place - 1]] < count:
            head[place] = head[place - 1]
            place -= 1
        head[place] = item


class _Rows:
    """Weights of partner items by item; a row that grows too long keeps its heavier half [2]_."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[int, float]] = {}

    def add(self, item: int, partner: int, weight: float) -> None:
        row = self._rows.setdefault(item, {})
        row[partner] = row.get(partner, 0.0) + weight
        if len(row) > _ROW_LIMIT:
            self._rows[item] = dict(nlargest(_KEPT, row.items(), key=_BY_WEIGHT))

    def best(self, item: int, k: int) -> list[int]:
        return [partner for partner, _ in nlargest(k, self._rows.get(item, {}).items(), key=_BY_WEIGHT)]


class AssociationRules(Baseline):
    """AR [1]_: the items touched most often in one session with the item touched last, before or after it.

    An item touched again makes a pair with itself, so returns are learned like everything else.

    Parameters
    ----------
    reach
        How many earlier touches of the session a touch is paired with.
    """

    name = "co-occurrence (AR)"

    def __init__(self, reach: int = 50) -> None:
        if reach < 1:
            raise InvalidParameterError(f"reach must be at least 1, got {reach}")
        self._reach = reach
        self._rows = _Rows()

    def rank(self, subject: str, session: list[int], k: int, time_ms: int = 0) -> list[int]:  # noqa: ARG002  # the session decides
        """Return the last item's most frequent companions."""
        return self._rows.best(session[-1], k) if session else []

    def learn(self, subject: str, session: list[int], item: int, time_ms: int = 0) -> None:  # noqa: ARG002  # the session decides
        """Count the pair with every earlier touch within reach, both ways."""
        for earlier in session[-self._reach :]:
            self._rows.add(earlier, item, 1.0)
            self._rows.add(item, earlier, 1.0)


class SequentialRules(Baseline):
    """SR [1]_: the items that follow the item touched last, one k steps later counting 1/k.

    Parameters
    ----------
    reach
        How many steps back a touch is paired.
    """

    name = "co-occurrence (SR)"

    def __init__(self, reach: int = 10) -> None:
        if reach < 1:
            raise InvalidParameterError(f"reach must be at least 1, got {reach}")
        self._reach = reach
        self._rows = _Rows()

    def rank(self, subject: str, session: list[int], k: int, time_ms: int = 0) -> list[int]:  # noqa: ARG002  # the session decides
        """Return what followed the last item."""
        return self._rows.best(session[-1], k) if session else []

    def learn(self, subject: str, session: list[int], item: int, time_ms: int = 0) -> None:  # noqa: ARG002  # the session decides
        """Add one over the distance to every pair with an earlier touch within reach."""
        for step, earlier in enumerate(reversed(session[-self._reach :]), 1):
            self._rows.add(earlier, item, 1.0 / step)


class OwnHistory(Baseline):
    """The user's own items over all sessions, by how often they were touched, then how lately.

    Examples
    --------
    >>> own = OwnHistory()
    >>> for item in [1, 2, 1, 3]:
    ...     own.learn("u:ann", [], item)
    >>> own.rank("u:ann", [], 3), own.rank("u:bob", [], 3)
    ([1, 3, 2], [])
    """

    name = "own history"

    def __init__(self) -> None:
        self._touches: dict[str, dict[int, int]] = {}

    def rank(self, subject: str, session: list[int], k: int, time_ms: int = 0) -> list[int]:  # noqa: ARG002  # all sessions count
        """Return the user's most touched items."""
        own = self._touches.get(subject, {})
        return [item for item, _ in nlargest(k, reversed(own.items()), key=_BY_WEIGHT)]

    def learn(self, subject: str, session: list[int], item: int, time_ms: int = 0) -> None:  # noqa: ARG002  # all sessions count
        """Count the touch and remember it as the latest."""
        own = self._touches.setdefault(subject, {})
        own[item] = own.pop(item, 0) + 1


class _Session:
    """Items of one session, oldest first, and the time of its latest touch."""

    __slots__ = ("items", "last_ms")

    def __init__(self) -> None:
        self.items: list[int] = []
        self.last_ms = 0


class SessionNeighbours(Baseline):
    """What came in the most similar of the latest sessions; other visitors' running ones count already.

    Parameters
    ----------
    latest
        Latest sessions with an item that are looked at.
    neighbours
        Most similar sessions that have a say.
    idf
        Weight of an item's rarity.
    """

    _REACH: ClassVar = 20

    def __init__(self, latest: int = 1000, neighbours: int = 500, idf: float = 1.0) -> None:
        if min(latest, neighbours) < 1:
            raise InvalidParameterError(
                f"latest and neighbours must be at least 1, got {latest}, {neighbours}"
            )
        self._latest, self._neighbours, self._idf = latest, neighbours, idf
        self._sessions_with: dict[int, deque[_Session]] = {}
        self._counts: dict[int, int] = {}
        self._present: dict[str, _Session] = {}
        self._sessions = 0

    def rank(self, subject: str, session: list[int], k: int, time_ms: int = 0) -> list[int]:
        """Return the items of the nearest sessions by similarity, place and rarity."""
        own, places = self._present.get(subject), self._places(session)
        similar: dict[_Session, float] = {}
        for item, place in places.items():
            weight = self._place_weight(place, len(session))
            for other in self._sessions_with.get(item, ()):
                if other is not own:
                    similar[other] = similar.get(other, 0.0) + weight
        weighed = {other: self._similarity(weight, other, time_ms) for other, weight in similar.items()}
        scores: dict[int, float] = {}
        for other, weight in nlargest(self._neighbours, weighed.items(), key=_BY_WEIGHT):
            self._vote(scores, other, weight, places, len(session))
        return [item for item, _ in nlargest(k, scores.items(), key=_BY_WEIGHT)]

    def learn(self, subject: str, session: list[int], item: int, time_ms: int = 0) -> None:
        """Let the subject's session grow; a touch without earlier ones opens it."""
        present = self._present.get(subject)
        if not session or present is None:
            present = self._present[subject] = _Session()
            self._sessions += 1
        present.last_ms = max(present.last_ms, time_ms)
        if item not in present.items:
            self._counts[item] = self._counts.get(item, 0) + 1
            self._sessions_with.setdefault(item, deque(maxlen=self._latest)).append(present)
        present.items.append(item)

    def _places(self, session: list[int]) -> dict[int, int]:
        """Return the latest place of each of the newest items, from 1."""
        begin = max(len(session) - self._REACH, 0)
        return {item: begin + n for n, item in enumerate(session[begin:], 1)}

    def _vote(
        self, scores: dict[int, float], other: _Session, weight: float, places: dict[int, int], length: int
    ) -> None:
        match, place = max(
            ((n, places[item]) for n, item in enumerate(other.items) if item in places), key=itemgetter(1)
        )
        for n, item in enumerate(other.items):
            rarity = 1.0 + self._idf * math.log(self._sessions / self._counts[item])
            gain = weight * rarity * self._vote_weight(place, length, abs(n - match))
            scores[item] = scores.get(item, 0.0) + gain

    @abstractmethod
    def _place_weight(self, place: int, length: int) -> float:
        """Return what a shared item counts by its place in the present session."""

    @abstractmethod
    def _similarity(self, shared: float, other: _Session, time_ms: int) -> float:
        """Return the similarity of a session, given the weights of the shared items."""

    @abstractmethod
    def _vote_weight(self, place: int, length: int, distance: int) -> float:
        """Return what an item counts, so far from the shared item whose place is the latest."""


class Vsknn(SessionNeighbours):
    """VSKNN [3]_: shared items count by place over length, a session by its length; items by step and idf."""

    name = "VSKNN"

    def _place_weight(self, place: int, length: int) -> float:
        return place / length

    def _similarity(self, shared: float, other: _Session, time_ms: int) -> float:  # noqa: ARG002  # ageless
        return shared / len(other.items)

    def _vote_weight(self, place: int, length: int, distance: int) -> float:  # noqa: ARG002  # by step only
        return max(1.0 - 0.1 * (length - place), 0.0)


class Vstan(SessionNeighbours):
    """VSTAN [3]_, [4]_: cosine of items weighted by place, fading with age, distance to the match, step."""

    name = "VSTAN"
    _PLACES: ClassVar = 1.02
    _AGE_MS: ClassVar = 5 * 86_400_000
    _DISTANCE: ClassVar = 2.05

    def _place_weight(self, place: int, length: int) -> float:
        return math.exp((place - length) / self._PLACES)

    def _similarity(self, shared: float, other: _Session, time_ms: int) -> float:
        age = max(time_ms - other.last_ms, 0)
        return shared / math.sqrt(len(other.items)) * math.exp(-age / self._AGE_MS)

    def _vote_weight(self, place: int, length: int, distance: int) -> float:
        return math.exp((place - length) / self._PLACES - distance / self._DISTANCE)
