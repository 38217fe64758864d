"""Makes users' lists, each as the experiments that its user takes part in have it."""

from collections.abc import Sequence

import numpy as np

from online_models.experiments.settings import ExperimentSettings, Variant
from online_models.items.compose import Lists
from online_models.items.histories import Histories
from online_models.items.ranker import BaseRanker, Ranker
from online_models.items.recommender import Recommender
from streams.agents.broadcast import Broadcast
from streams.agents.documents import BASE_RANKER

Seen = tuple[Variant, ...]
"""What a user sees: a variant of each experiment."""

_BASE = BaseRanker()


class ListMaker:
    """Groups users by what they see and asks one recommender for each group.

    Parameters
    ----------
    recommender
        Makes lists where no experiment says otherwise.
    experiments
        What is tried on whom.
    broadcast
        The newest ranker and neighbours, catalogue and rules.
    length
        Items of a list.
    """

    def __init__(
        self, recommender: Recommender, experiments: ExperimentSettings, broadcast: Broadcast, length: int
    ) -> None:
        self._recommender, self._experiments = recommender, experiments.experiments
        self._broadcast, self._length = broadcast, length
        self._varied: dict[tuple[str, ...], Recommender] = {}

    def make(self, seen: Sequence[Seen], histories: Histories, now_ms: int) -> Lists:
        """Return the lists of users.

        Parameters
        ----------
        seen, histories
            n users: what they see, as `seen_by` tells, and their histories.
        now_ms
            Event time, epoch milliseconds.
        """
        if not self._experiments:
            return self._made_by(self._recommender, self._broadcast.ranker, histories, now_ms)
        groups: dict[tuple[str, ...], list[int]] = {}
        for place, variants in enumerate(seen):
            groups.setdefault(tuple(variant.name for variant in variants), []).append(place)
        lists = Lists.empty(len(seen))
        for key, places in groups.items():
            variants = seen[places[0]]
            maker = self._varied.get(key) or self._vary(key, variants)
            ranker = _BASE if _by_base(variants) else self._broadcast.ranker
            part = histories.take(np.array(places, np.int64))
            lists.fill(places, self._made_by(maker, ranker, part, now_ms))
        return lists

    def seen_by(self, subject: str) -> Seen:
        """Return what a subject sees of each experiment."""
        return tuple(experiment.variant_of(subject) for experiment in self._experiments)

    def names(self, seen: Seen) -> dict[str, str]:
        """Return the names of what is seen, by experiment."""
        return {one.name: variant.name for one, variant in zip(self._experiments, seen, strict=True)}

    def version_for(self, seen: Seen) -> str:
        """Return the version of the ranker by which the list of who sees this is made."""
        return BASE_RANKER if _by_base(seen) else self._broadcast.ranker_version

    def _vary(self, key: tuple[str, ...], variants: Seen) -> Recommender:
        policy = self._recommender.policy
        for variant in variants:
            policy = variant.applied_to(policy)
        made = self._varied[key] = self._recommender.with_policy(policy)
        return made

    def _made_by(self, maker: Recommender, ranker: Ranker, histories: Histories, now_ms: int) -> Lists:
        maker.ranker = ranker
        shop, table = self._broadcast.shop, self._broadcast.table
        return maker.recommend(histories, table, now_ms, self._length, shop=shop)


def _by_base(variants: Seen) -> bool:
    """Return whether the last variant that names a ranker names the fixed weights."""
    named = [variant.ranker for variant in variants if variant.ranker]
    return bool(named) and named[-1] == "base"
