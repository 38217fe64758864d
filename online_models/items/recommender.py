"""Lists for users: rank the candidates, then apply the list policy and say why each item is there."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.events import Floats, Int64s
from online_models.items.candidates import Candidates, gather
from online_models.items.cold import ColdItems
from online_models.items.compose import PROMOTED, Lists, add_cold, pin
from online_models.items.diversity import arrange, damping
from online_models.items.evidence import CandidateSettings
from online_models.items.histories import Histories
from online_models.items.policy import PolicySettings, excluded
from online_models.items.ranker import BaseRanker, Ranker
from online_models.items.reasons import explain
from online_models.items.shop import Shop
from online_models.items.slots import Bools
from online_models.items.source import NeighbourSource

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
            ranking, boosted = self._listed(part, source, now_ms, k, shop)
            reasons = explain(self._candidates, ranking.rows, part, source, now_ms)
            made = Lists(
                [[source.item_id(row) for row in rows if row >= 0] for rows in ranking.rows.tolist()],
                [[score for score in scored if score > -np.inf] for scored in ranking.scores.tolist()],
                [
                    [text + PROMOTED if up else text for text, up in zip(*pair, strict=False)]
                    for pair in zip(reasons, boosted.tolist(), strict=True)
                ],
            )
            cold = self._cold.pick(shop, part, source, now_ms, int(k * self.policy.cold_share + 0.5))
            add_cold(made, cold, shop, k)
            pin(made, self.policy, part, shop, now_ms, k=k)
            lists.extend(made)
        return lists

    def _listed(
        self, histories: Histories, source: NeighbourSource, now_ms: int, k: int, shop: Shop
    ) -> tuple[Ranking, Bools]:
        """Return what is listed by rank, policy and shop, and (n, k) what the shop has moved up."""
        policy = self.policy
        found = self.candidates(histories, source, now_ms)
        out, bonus = shop.judge(found.row, source, now_ms)
        out |= excluded(policy, found, histories, source, now_ms)
        scores = self.ranker.score_many(found.features) + bonus
        scores -= damping(policy.popularity_damping, found.row, source, now_ms)
        ranking = _best(found, np.where(out, -np.inf, scores), policy.depth * k)
        categories = shop.categories(ranking.rows, source)
        places = arrange(policy, ranking.rows, ranking.scores, categories, source, k=k, now_ms=now_ms)
        rows = np.take_along_axis(ranking.rows, places, axis=1)
        listed = Ranking(rows, np.take_along_axis(ranking.scores, places, axis=1))
        return listed, np.isin(rows, found.row[bonus > 0.0])


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
