"""All stores in one process with immediate broadcast: every event is learned before the next one comes.

The agents run the same stores over Kafka, where broadcasts take a moment; here none is late, so that what
`keepstream evaluate` measures is the models alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from online_models.churn.effects import UserEffects
from online_models.churn.erasure import at_their_place
from online_models.churn.profile import UserStore
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import UserSettings
from online_models.churn.trainer import TrainerSettings, TrainerStore
from online_models.clock import PartitionClock
from online_models.events import EVENT_NAMES, TOUCH_KINDS, EventBatch, Int64s, UInt64s, hash_ids
from online_models.items.compose import Lists
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.direct import DirectNeighbours
from online_models.items.evidence import CandidateSettings
from online_models.items.histories import TouchContexts
from online_models.items.offers import offers
from online_models.items.pairs import Floats32, PairBatch
from online_models.items.policy import PolicySettings
from online_models.items.rank_examples import RankExamples, examples_of, label
from online_models.items.rank_trainer import RankTrainerSettings, RankTrainerStore
from online_models.items.recommender import Recommender
from online_models.items.settings import CooccurrenceSettings
from online_models.items.shop import Shop
from online_models.winback.bandit import BanditPolicy
from online_models.winback.outcomes import OutcomeBatch

_GROUP: Final = 32
_NONE: Final = np.zeros(0, dtype=np.int64)
_IS_TOUCH: Final = np.isin(np.arange(len(EVENT_NAMES)), TOUCH_KINDS)


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """Settings of the stores.

    Parameters
    ----------
    users
        Of the users' store.
    items
        Of the items' store; the broadcast's throttle does not apply.
    trainer, ranker
        Of the trainers.
    candidates, policy
        Of the recommender.
    """

    users: UserSettings = field(default_factory=UserSettings)
    items: CooccurrenceSettings = field(default_factory=CooccurrenceSettings)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    ranker: RankTrainerSettings = field(default_factory=RankTrainerSettings)
    candidates: CandidateSettings = field(default_factory=CandidateSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)


class Step(NamedTuple):
    """What a tick, or the events between two ticks, came to.

    Parameters
    ----------
    tick_ms
        The tick, None for events.
    start
        Index of the first of the events in their batch.
    effects
        What the users' store decided; indices count from `start`.
    """

    tick_ms: int | None
    start: int
    effects: UserEffects


@dataclass(frozen=True, slots=True)
class Followed:
    """What users did in a batch, before items learn from it.

    Parameters
    ----------
    accepted
        (n,) indices of the accepted events, ascending.
    pairs
        Their touches and pairs in log order.
    touch_start, pair_start
        (n + 1,) the touches and pairs of accepted event i are those from entry i up to entry i + 1.
    contexts
        The touches with what came before each in its session; None without one.
    """

    accepted: Int64s
    pairs: PairBatch
    touch_start: Int64s
    pair_start: Int64s
    contexts: TouchContexts | None

    def contexts_of(self, start: int, stop: int) -> range:
        """Return which of the contexts are of the accepted events from `start` up to `stop`."""
        if self.contexts is None:
            return range(0)
        bounds = self.touch_start[[start, stop]]
        return range(*np.searchsorted(self.contexts.place, bounds).tolist())

    def context_at(self, event: int, place: int) -> int:
        """Return which context is that of a touch of an accepted event, -1 where it has none."""
        if self.contexts is None:
            return -1
        touch = self.touch_start[event] + place
        at = int(np.searchsorted(self.contexts.place, touch))
        return at if at < len(self.contexts) and self.contexts.place[at] == touch else -1

    def pairs_of(self, start: int, stop: int) -> PairBatch:
        """Return the touches and pairs of the accepted events from `start` up to `stop`."""
        touches = np.arange(self.touch_start[start], self.touch_start[stop])
        return self.pairs.take(touches, np.arange(self.pair_start[start], self.pair_start[stop]))


class Pipeline:
    """The users' store, the items' store and the trainers in one process.

    Parameters
    ----------
    settings
        Of the stores; defaults unless given.

    Attributes
    ----------
    users, items, trainer, ranker
        The stores.
    scorer
        The churn model as of the last label, None before the first.
    bandit
        What is believed of the win-back actions as of the last outcome, None before the first.
    shop
        Catalogue and rules by which lists are made.
    """

    def __init__(self, settings: PipelineSettings | None = None) -> None:
        self.settings = settings or PipelineSettings()
        self.users = UserStore(self.settings.users)
        self.items = CooccurrenceStore(self.settings.items)
        self.trainer = TrainerStore(self.settings.trainer)
        self.ranker = RankTrainerStore(self.settings.ranker)
        self.scorer: ChurnScorer | None = None
        self.bandit: BanditPolicy | None = None
        self._neighbours = DirectNeighbours(self.items)
        self._recommender = Recommender(self.settings.candidates, self.settings.policy, self.ranker.network)
        self.shop = Shop()
        self._clock = PartitionClock(self.settings.users.tick_ms)
        self._followed: Followed | None = None
        self._examined: dict[int, tuple[Int64s, RankExamples]] = {}
        self._waiting: list[tuple[Followed, int]] = []

    def apply(self, events: EventBatch) -> list[Step]:
        """Take events in log order and learn everything there is to learn from them but the ranking."""
        steps = list(self.steps(events))
        for step in steps:
            for pairs in step.effects.pairs:
                self.items.apply(pairs)
        return steps

    def steps(self, events: EventBatch) -> Iterator[Step]:
        """Let the users' store take events, tick by tick, each tick with the newest churn model.

        Labels that mature are learned at once; touches and pairs are left to `learn`.
        """
        events = at_their_place(events, self._clock.now_ms)
        for start, stop, tick_ms in self._clock.split(events.time, self.users.next_due):
            if tick_ms is None:
                effects = self.users.apply(events.take(np.arange(start, stop)), self.scorer, self.bandit)
            else:
                # A clock that has reached T + 1 has run the tick at T; no event lies between.
                effects = self.users.tick(tick_ms + 1, self.scorer, self.bandit)
            self._train(effects)
            yield Step(tick_ms, start, effects)

    def follow(self, events: EventBatch) -> Followed:
        """Let users' sessions grow by events; nothing else is learned from them yet."""
        steps = list(self.steps(events))
        accepted = np.concatenate([_NONE, *(step.effects.accepted + step.start for step in steps)])
        pairs = PairBatch.concat([batch for step in steps for batch in step.effects.pairs])
        contexts, touches = [], 0
        for step in steps:
            if step.effects.contexts is not None:
                contexts.append((touches, step.effects.contexts))
            touches += sum(batch.touch_item.size for batch in step.effects.pairs)
        starts = _starts(events.take(accepted), pairs)
        return Followed(accepted, pairs, *starts, TouchContexts.concat(contexts))

    def learn(self, followed: Followed, start: int, stop: int) -> None:
        """Learn from the accepted events from `start` up to `stop`, at the latest before the next ranking.

        Events that nobody is to foretell are learned in groups of a fixed size, wherever batches are cut:
        their touches are ranked by what was known before the group, as a live worker does.
        """
        for event in range(start, stop):
            self._waiting.append((followed, event))
            if len(self._waiting) == _GROUP:
                self.settle()

    def settle(self) -> None:
        """Learn what was given to `learn`: first the ranking of the touches, then touches and pairs."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        runs: list[tuple[Followed, int, int]] = []
        for followed, event in waiting:
            if runs and runs[-1][0] is followed and runs[-1][2] == event:
                runs[-1] = (followed, runs[-1][1], event + 1)
            else:
                runs.append((followed, event, event + 1))
        for features, target, shown_at in chain.from_iterable(self._sets(*run) for run in runs):
            self.ranker.learn_one(features, target, shown_at)
        for followed, start, stop in runs:
            self.items.apply(followed.pairs_of(start, stop))
        self._examined = {}

    def rank(self, followed: Followed, context: int, k: int) -> UInt64s:
        """Return what a user may touch next, before any list policy.

        Parameters
        ----------
        followed, context
            The touch that is to be foretold, by its context.
        k
            Length of the list.

        Returns
        -------
        UInt64s
            (k,) hashes, best first, 0 where there are fewer.
        """
        self.settle()
        rows, examples = self._examine(followed, context)
        best = np.argsort(
            -self.ranker.network.score_many(examples.features.astype(np.float32)), kind="stable"
        )[:k]
        ranked = np.zeros(k, dtype=np.uint64)
        ranked[: best.size] = self.items.rows["hash"][rows[best]]
        return ranked

    def listed(self, followed: Followed, context: int, k: int) -> UInt64s:
        """Return what a user would have been shown before a touch, after policy, catalogue and rules.

        Contexts say nothing of purchases, so nothing is left out because it was bought.

        Parameters
        ----------
        followed, context, k
            As in `rank`.

        Returns
        -------
        UInt64s
            (k,) hashes, best first, 0 where there are fewer.
        """
        self.settle()
        assert followed.contexts is not None
        part = followed.contexts.take(slice(context, context + 1))
        now_ms = int(part.time_ms[0])
        lists = self._recommender.recommend(part.histories, self._neighbours, now_ms, k, shop=self.shop)
        found = np.zeros(k, np.uint64)
        found[: len(lists.items[0])] = hash_ids(lists.items[0])
        return found

    def offers(self, followed: Followed, context: int) -> tuple[Mapping[str, set[int]], set[int]]:
        """Return what each source of candidates offers before a touch, and what of it is ranked, as hashes.

        Parameters
        ----------
        followed, context
            The touch, by its context.
        """
        assert followed.contexts is not None
        self.settle()
        part = followed.contexts.take(slice(context, context + 1))
        found = offers(self.settings.candidates, part.histories, self._neighbours, int(part.time_ms[0]))
        hashes = self.items.rows["hash"]
        kept, _ = self._examine(followed, context)
        return {name: set(hashes[rows].tolist()) for name, rows in found.items()}, set(hashes[kept].tolist())

    def recommend(self, subjects: Sequence[str], now_ms: int, k: int = 20) -> Lists:
        """Return the lists of users by all that is known of them, after the list policy."""
        histories = self.users.histories(subjects)
        return self._recommender.recommend(histories, self._neighbours, now_ms, k, shop=self.shop)

    def _sets(self, followed: Followed, start: int, stop: int) -> Iterator[tuple[Floats32, int, int]]:
        """Return the labelled sets of the touches of some events, those ranked before as they were then."""
        places = followed.contexts_of(start, stop)
        if followed.contexts is None or not places:
            return iter(())
        if followed is self._followed and all(place in self._examined for place in places):
            return chain.from_iterable(self._examined[place][1].sets() for place in places)
        contexts = followed.contexts.take(slice(places.start, places.stop))
        return examples_of(contexts, self._recommender, self._neighbours).sets()

    def _train(self, effects: UserEffects) -> None:
        if len(effects.examples):
            self.trainer.apply(effects.examples)
            self.scorer = self.trainer.scorer()
        if effects.outcomes:
            self.trainer.winback.apply(OutcomeBatch.of(effects.outcomes))
            learned = self.trainer.winback
            self.bandit = replace(learned.current(), version=max(1, learned.version))

    def _examine(self, followed: Followed, context: int) -> tuple[Int64s, RankExamples]:
        """Return the candidates of a touch, as rows and as a labelled set, gathered once."""
        if followed is not self._followed:
            self._followed, self._examined = followed, {}
        found = self._examined.get(context)
        if found is None:
            assert followed.contexts is not None
            part = followed.contexts.take(slice(context, context + 1))
            now_ms = int(part.time_ms[0])
            gathered = self._recommender.candidates(part.histories, self._neighbours, now_ms)
            found = gathered.row, label(gathered, part, self._neighbours)
            self._examined[context] = found
        return found


def _starts(events: EventBatch, pairs: PairBatch) -> tuple[Int64s, Int64s]:
    """Return where the touches and the pairs of each event start, and where the last ones end.

    Pairs follow their later touch in log order, nearest first. Where equal touches at the same time leave
    open whose pairs they are, they go to the last of them: learned a moment late, never too early.
    """
    touched = np.where(_IS_TOUCH[events.kind], np.diff(events.item_start), 0)
    touch_start = np.concatenate(([0], np.cumsum(touched)))
    assert touch_start[-1] == pairs.touch_item.size, "every touch of an accepted event is counted"
    opens = np.flatnonzero(pairs.distance == 1)
    later = np.where(pairs.distance > 0, pairs.partner, pairs.owner)[opens]
    place = len(pairs.touch_item)
    owners = np.zeros(len(opens), dtype=np.int64)
    hashes = pairs.hashes
    for group in range(len(opens) - 1, -1, -1):
        wanted, time = hashes[later[group]], pairs.time[opens[group]]
        place -= 1
        while hashes[pairs.touch_item[place]] != wanted or pairs.touch_time[place] != time:
            place -= 1
        owners[group] = place
    event = np.searchsorted(touch_start, owners, side="right") - 1
    first = np.searchsorted(event, np.arange(len(events)))
    return touch_start, np.append(opens, len(pairs.distance))[np.append(first, len(opens))]
