"""Lists for users: rank the candidates, then apply the list policy and say why each item is there."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from online_models.events import Floats, Int64s
from online_models.items.candidates import Candidates, gather
from online_models.items.cold import ColdItems
from online_models.items.compose import Lists, add_cold, pin
from online_models.items.diversity import arrange, damping
from online_models.items.evidence import CandidateSettings
from online_models.items.histories import Histories
from online_models.items.policy import PolicySettings, excluded
from online_models.items.ranker import BaseRanker, Ranker
from online_models.items.reasons import explain
from online_models.items.shop import Shop
from online_models.items.slots import Bools
from online_models.items.source import NeighbourSource
from online_models.kernels import kernel

_CHUNK: Final = 64
_NO_SHOP: Final = Shop()


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


class _Listed(NamedTuple):
    """Lists, (n, k) each: places among the candidates, rows and scores, and what the shop has moved up."""

    places: Int64s
    rows: Int64s
    scores: Floats
    boosted: Bools | None


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
        self.policy = policy or PolicySettings()
        self.ranker: Ranker = ranker or BaseRanker()
        self._cold = ColdItems()

    def with_policy(self, policy: PolicySettings) -> "Recommender":
        """Return a recommender that differs in its list policy."""
        made = Recommender(self._candidates, policy, self.ranker)
        made._cold = self._cold
        return made

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
            scores = self.ranker.score_many(found.features)
            return _ranking(found, scores, best_places(found.start, scores, k))
        parts = [self.rank(part, source, now_ms, k) for part in _chunks(histories)]
        return Ranking(np.concatenate([p.rows for p in parts]), np.concatenate([p.scores for p in parts]))

    def recommend(
        self,
        histories: Histories,
        source: NeighbourSource,
        now_ms: int,
        k: int = 20,
        *,
        shop: Shop = _NO_SHOP,
    ) -> Lists:
        """Return lists after the policy and the shop's rules, each item with its reason.

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
        shop
            Its catalogue and rules.
        """
        lists = Lists([], [], [])
        for part in _chunks(histories):
            found, listed = self._listed(part, source, now_ms, k, shop)
            sizes = np.count_nonzero(listed.rows >= 0, axis=1).tolist()
            names = [
                source.item_ids(rows[:size]) for rows, size in zip(listed.rows.tolist(), sizes, strict=True)
            ]
            scores = [kept[: len(held)] for kept, held in zip(listed.scores.tolist(), names, strict=True)]
            made = Lists(names, scores, explain(found, listed.places, names, source))
            made.promote(listed.boosted)
            cold = self._cold.pick(shop, part, source, now_ms, int(k * self.policy.cold_share + 0.5))
            add_cold(made, cold, shop, k)
            pin(made, self.policy, part, shop, now_ms, k=k)
            lists.extend(made)
        return lists

    def _listed(
        self, histories: Histories, source: NeighbourSource, now_ms: int, k: int, shop: Shop
    ) -> tuple[Candidates, _Listed]:
        """Return the candidates, and what of them is listed by rank, policy and shop."""
        policy = self.policy
        found = self.candidates(histories, source, now_ms)
        out, bonus = shop.judge(found.row, source, now_ms)
        out |= excluded(policy, found, histories, source, now_ms)
        scores = self.ranker.score_many(found.features) + bonus
        scores -= damping(policy.popularity_damping, found.row, source, now_ms)
        scores[out] = -np.inf
        places = best_places(found.start, scores, policy.depth * k)
        ranking = _ranking(found, scores, places)
        categories = shop.categories(ranking.rows, source)
        order = arrange(policy, ranking.rows, ranking.scores, categories, source, k=k, now_ms=now_ms)
        each = np.arange(len(order))[:, None]
        places = places[each, order]
        up = (bonus[places] > 0.0) & (places >= 0) if bonus.any() else None
        return found, _Listed(places, ranking.rows[each, order], ranking.scores[each, order], up)


def _chunks(histories: Histories) -> list[Histories]:
    """Cut the users so that the working arrays stay in the processor's cache."""
    return [histories.take(slice(i, i + _CHUNK)) for i in range(0, len(histories), _CHUNK)]


def _ranking(found: Candidates, scores: Floats, places: Int64s) -> Ranking:
    """Return the candidates at places (n, k), -1 where there are fewer."""
    if not scores.size:
        return Ranking(places, np.full(places.shape, -np.inf))
    held = places >= 0
    return Ranking(np.where(held, found.row[places], -1), np.where(held, scores[places], -np.inf))


@kernel("i8[:, ::1](i8[::1], f8[::1], i8)")
def best_places(start: Int64s, scores: Floats, k: int) -> Int64s:
    """Return (n, k) the candidates with the best scores above -inf, of equal ones the first; -1 behind them.

    Parameters
    ----------
    start
        (n + 1,) the candidates of user i are ``start[i]:start[i + 1]``.
    scores
        (c,) their scores.
    k
        How many of each user, at least 1.
    """
    places = np.full((start.size - 1, k), -1, np.int64)
    for user in range(start.size - 1):
        best, size = places[user], 0
        for one in range(start[user], start[user + 1]):
            score = scores[one]
            if not score > -np.inf or (size == k and not score > scores[best[k - 1]]):
                continue
            at = min(size, k - 1)
            while at and scores[best[at - 1]] < score:
                best[at] = best[at - 1]
                at -= 1
            best[at] = one
            size = min(size + 1, k)
    return places
