"""All stores in one process with immediate broadcast: every event is learned before the next one comes.

The agents run the same stores over Kafka, where broadcasts take a moment; here none is late, so that what
`keepstream evaluate` measures is the models alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

from online_models.churn.effects import UserEffects
from online_models.churn.erasure import at_their_place
from online_models.churn.profile import UserStore
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import UserSettings
from online_models.churn.trainer import TrainerSettings, TrainerStore
from online_models.clock import PartitionClock
from online_models.events import EVENT_NAMES, TOUCH_KINDS, EventBatch, Int64s, UInt64s
from online_models.items.candidates import CandidateSettings
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.direct import DirectNeighbours
from online_models.items.histories import Histories
from online_models.items.pairs import PairBatch
from online_models.items.policy import PolicySettings
from online_models.items.recommender import Lists, Recommender
from online_models.items.settings import CooccurrenceSettings
from online_models.winback.bandit import BanditPolicy
from online_models.winback.outcomes import OutcomeBatch

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
    trainer
        Of the trainer.
    candidates, policy
        Of the recommender.
    """

    users: UserSettings = field(default_factory=UserSettings)
    items: CooccurrenceSettings = field(default_factory=CooccurrenceSettings)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
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
    """

    accepted: Int64s
    pairs: PairBatch
    touch_start: Int64s
    pair_start: Int64s

    def pairs_of(self, start: int, stop: int) -> PairBatch:
        """Return the touches and pairs of the accepted events from `start` up to `stop`."""
        touches = np.arange(self.touch_start[start], self.touch_start[stop])
        return self.pairs.take(touches, np.arange(self.pair_start[start], self.pair_start[stop]))


class Pipeline:
    """The users' store, the items' store and the trainer in one process.

    Parameters
    ----------
    settings
        Of the stores; defaults unless given.

    Attributes
    ----------
    users, items, trainer
        The stores.
    scorer
        The churn model as of the last label, None before the first.
    bandit
        What is believed of the win-back actions as of the last outcome, None before the first.
    """

    def __init__(self, settings: PipelineSettings | None = None) -> None:
        self.settings = settings or PipelineSettings()
        self.users = UserStore(self.settings.users)
        self.items = CooccurrenceStore(self.settings.items)
        self.trainer = TrainerStore(self.settings.trainer)
        self.scorer: ChurnScorer | None = None
        self.bandit: BanditPolicy | None = None
        self._neighbours = DirectNeighbours(self.items)
        self._recommender = Recommender(self.settings.candidates, self.settings.policy)
        self._clock = PartitionClock(self.settings.users.tick_ms)

    def apply(self, events: EventBatch) -> list[Step]:
        """Take events in log order and learn everything there is to learn from them."""
        steps = list(self.steps(events))
        for step in steps:
            for pairs in step.effects.pairs:
                self.learn(pairs)
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
        """Let users' sessions grow by events; items learn nothing from them yet."""
        steps = list(self.steps(events))
        accepted = np.concatenate([_NONE, *(step.effects.accepted + step.start for step in steps)])
        pairs = PairBatch.concat([batch for step in steps for batch in step.effects.pairs])
        return Followed(accepted, pairs, *_starts(events.take(accepted), pairs))

    def learn(self, pairs: PairBatch) -> None:
        """Count touches and pairs."""
        self.items.apply(pairs)

    def rank(self, session: UInt64s, length: int, now_ms: int, k: int) -> UInt64s:
        """Return what a visitor may touch next, before any list policy.

        Parameters
        ----------
        session
            (s,) hashes of the items touched in the session, newest first.
        length
            How many touches the session has, also those no longer in `session`.
        now_ms
            Event time, epoch milliseconds.
        k
            Length of the list.

        Returns
        -------
        UInt64s
            (k,) hashes, best first, 0 where there are fewer.
        """
        nothing = np.zeros((1, 0), dtype=np.uint64)
        history = Histories(
            items=session[np.newaxis, :],
            in_session=np.array([len(session)]),
            session_length=np.array([length]),
            bought=nothing,
            bought_ms=nothing.astype(np.int64),
        )
        rows = self._recommender.rank(history, self._neighbours, now_ms, k).rows[0]
        ranked = np.zeros(k, dtype=np.uint64)
        listed = rows[rows >= 0]
        ranked[: len(listed)] = self.items.rows["hash"][listed]
        return ranked

    def recommend(self, subjects: Sequence[str], now_ms: int, k: int = 20) -> Lists:
        """Return the lists of users by all that is known of them, after the list policy."""
        return self._recommender.recommend(self.users.histories(subjects), self._neighbours, now_ms, k)

    def _train(self, effects: UserEffects) -> None:
        if len(effects.examples):
            self.trainer.apply(effects.examples)
            self.scorer = self.trainer.scorer()
        if effects.outcomes:
            self.trainer.winback.apply(OutcomeBatch.of(effects.outcomes))
            learned = self.trainer.winback
            self.bandit = replace(learned.current(), version=max(1, learned.version))


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
