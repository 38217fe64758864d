"""Lists for users: rank the candidates, then apply the list policy and say why each item is there."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.events import Floats, Int64s, UInt64s
from online_models.items.candidates import Candidates, gather
from online_models.items.evidence import CandidateSettings
from online_models.items.histories import Histories
from online_models.items.policy import PolicySettings, excluded, spread_categories
from online_models.items.ranker import BaseRanker, Ranker
from online_models.items.reasons import explain
from online_models.items.source import NeighbourSource

_CHUNK: Final = 64
_NONE_WITHDRAWN: Final = np.zeros(0, np.uint64)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best candidates of n users, before any list policy.

    Parameters
    ----------
    rows
        (n, k) rows of the `NeighbourSource`, best first; -1 where there are fewer.
    scores
        (n, k) scores of the ranker; -inf where there are fewer.
    """

    rows: Int64s
    scores: Floats


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of n users.

    Parameters
    ----------
    items
        n lists of item ids, best first.
    scores
        n lists of scores.
    reasons
        n lists of sentences: why the item is there.
    """

    items: list[list[str]]
    scores: list[list[float]]
    reasons: list[list[str]]


class Recommender:
    """Ranks users' candidates and makes lists of them.

    Parameters
    ----------
    candidates
        Where candidates come from.
    policy
        What a list leaves out.
    ranker
        What orders candidates; may be replaced at any time.

    Examples
    --------
    >>> from online_models.events import hash_id
    >>> from online_models.items.neighbours import NeighbourRow, NeighbourTable
    >>> from online_models.items.settings import CooccurrenceSettings
    >>> table = NeighbourTable(CooccurrenceSettings())
    >>> table.upsert([NeighbourRow("a", hash_id("a"), "", 5.0, 2.0, 2.0, 1000, 2)])
    >>> newcomer = Histories.of_session(np.zeros(0, np.uint64))
    >>> lists = Recommender().recommend(newcomer, table, now_ms=2000)
    >>> lists.items, lists.reasons
    ([['a']], [['popular now']])
    """

    def __init__(
        self,
        candidates: CandidateSettings | None = None,
        policy: PolicySettings | None = None,
        ranker: Ranker | None = None,
    ) -> None:
        self._candidates = candidates or CandidateSettings()
        self._policy = policy or PolicySettings()
        self.ranker: Ranker = ranker or BaseRanker()

    def candidates(self, histories: Histories, source: NeighbourSource, now_ms: int) -> Candidates:
        """Return the candidates of users with their features: what a ranker learns from."""
        return gather(self._candidates, histories, source, now_ms)

    def rank(self, histories: Histories, source: NeighbourSource, now_ms: int, k: int = 20) -> Ranking:
        """Return the best candidates of users before any list policy: what hit rate and MRR judge.

        Parameters
        ----------
        histories
            n users.
        source
            Where partners and popularity are read.
        now_ms
            Present event time, epoch milliseconds.
        k
            Length of a ranking.
        """
        if len(histories) <= _CHUNK:
            found = self.candidates(histories, source, now_ms)
            return _best(found, self.ranker.score_many(found.features), k)
        parts = [self.rank(part, source, now_ms, k) for part in _chunks(histories)]
        return Ranking(np.concatenate([p.rows for p in parts]), np.concatenate([p.scores for p in parts]))

    def recommend(
        self,
        histories: Histories,
        source: NeighbourSource,
        now_ms: int,
        k: int = 20,
        *,
        withdrawn: UInt64s = _NONE_WITHDRAWN,
    ) -> Lists:
        """Return lists after the policy, each item with its reason.

        Parameters
        ----------
        histories
            n users.
        source
            Where partners and popularity are read.
        now_ms
            Present event time, epoch milliseconds.
        k
            Length of a list.
        withdrawn
            Hashes of items that must not be listed: erased, or out of stock.
        """
        lists = Lists([], [], [])
        for part in _chunks(histories):
            found = self.candidates(part, source, now_ms)
            scores = self.ranker.score_many(found.features)
            out = excluded(self._policy, found, part, source, now_ms, withdrawn=withdrawn)
            ranking = _best(found, np.where(out, -np.inf, scores), self._policy.depth * k)
            places = spread_categories(self._policy, ranking.rows, source, k)
            rows = np.take_along_axis(ranking.rows, places, axis=1)
            listed = np.take_along_axis(ranking.scores, places, axis=1)
            lists.items.extend(
                [source.item_id(row) for row in of_user if row >= 0] for of_user in rows.tolist()
            )
            lists.scores.extend([score for score in scored if score > -np.inf] for scored in listed.tolist())
            lists.reasons.extend(explain(self._candidates, rows, part, source, now_ms))
        return lists


def _chunks(histories: Histories) -> list[Histories]:
    """Cut the users so that the working arrays stay in the processor's cache."""
    return [histories.take(slice(i, i + _CHUNK)) for i in range(0, len(histories), _CHUNK)]


def _best(found: Candidates, scores: Floats, k: int) -> Ranking:
    """Return the k best candidates of each user."""
    users = found.start.size - 1
    if not scores.size:
        return Ranking(np.full((users, k), -1, np.int64), np.full((users, k), -np.inf))
    width = max(int((found.start[1:] - found.start[:-1]).max()), k)
    grid = np.full((users, width), -np.inf)
    grid[found.user, np.arange(scores.size) - found.start[found.user]] = scores
    user = np.arange(users)[:, None]
    places = np.argpartition(-grid, k - 1, axis=1)[:, :k] if width > k else np.arange(k)[None, :]
    places = places[user if width > k else 0, np.argsort(-grid[user, places], axis=1, kind="stable")]
    best = grid[user, places]
    rows = np.where(best > -np.inf, found.row.take(found.start[:-1, None] + places, mode="clip"), -1)
    return Ranking(rows, best)
