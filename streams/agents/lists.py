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

    def make(self, subjects: Sequence[str], histories: Histories, now_ms: int) -> Lists:
        """Return the lists of users.

        Parameters
        ----------
        subjects, histories
            n users.
        now_ms
            Event time, epoch milliseconds.
        """
        if not self._experiments:
            return self._made_by(self._recommender, self._broadcast.ranker, histories, now_ms)
        groups: dict[tuple[str, ...], list[int]] = {}
        seen: dict[tuple[str, ...], tuple[Variant, ...]] = {}
        for place, subject in enumerate(subjects):
            variants = self.variants_of(subject)
            key = tuple(variant.name for variant in variants)
            groups.setdefault(key, []).append(place)
            seen[key] = variants
        lists = Lists.empty(len(subjects))
        for key, places in groups.items():
            maker = self._varied.get(key) or self._vary(key, seen[key])
            ranker = _BASE if _by_base(seen[key]) else self._broadcast.ranker
            part = histories.take(np.array(places, np.int64))
            lists.fill(places, self._made_by(maker, ranker, part, now_ms))
        return lists

    def variants_of(self, subject: str) -> tuple[Variant, ...]:
        """Return what a subject sees of each experiment."""
        return tuple(experiment.variant_of(subject) for experiment in self._experiments)

    def seen_by(self, subject: str) -> dict[str, str]:
        """Return the name of what a subject sees, by experiment."""
        variants = self.variants_of(subject)
        return {one.name: variant.name for one, variant in zip(self._experiments, variants, strict=True)}

    def version_for(self, subject: str) -> str:
        """Return the version of the ranker by which a subject's list is made."""
        base = self._experiments and _by_base(self.variants_of(subject))
        return BASE_RANKER if base else self._broadcast.ranker_version

    def _vary(self, key: tuple[str, ...], variants: Sequence[Variant]) -> Recommender:
        policy = self._recommender.policy
        for variant in variants:
            policy = variant.applied_to(policy)
        made = self._varied[key] = self._recommender.with_policy(policy)
        return made

    def _made_by(self, maker: Recommender, ranker: Ranker, histories: Histories, now_ms: int) -> Lists:
        maker.ranker = ranker
        shop, table = self._broadcast.shop, self._broadcast.table
        return maker.recommend(histories, table, now_ms, self._length, shop=shop)


def _by_base(variants: Sequence[Variant]) -> bool:
    """Return whether the last variant that names a ranker names the fixed weights."""
    named = [variant.ranker for variant in variants if variant.ranker]
    return bool(named) and named[-1] == "base"
