"""Judging recommendations touch by touch: every case is predicted before it is learned, beside the baselines.

A case is a touch of an item with enough earlier touches in its session; these are its history. Repeats count,
and so do items never seen before: they are misses. Items of one event are put into an order by hash and are
cases one after another. Prequential evaluation [1]_, protocol of [2]_.

References
----------
.. [1] Dawid, 1984. Statistical theory: the prequential approach.
.. [2] Ludewig, Jannach, 2018. Evaluation of session-based recommendation algorithms.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.evaluation.baselines import (
    AssociationRules,
    Baseline,
    OwnHistory,
    Popularity,
    SequentialRules,
    Vsknn,
    Vstan,
)
from online_models.evaluation.bootstrap import Draws, Interval, interval_of_means
from online_models.evaluation.candidate_recall import CandidateRecall
from online_models.evaluation.cases import SessionFollower, Touch, shuffle_items
from online_models.evaluation.cold_start import Knowledge, cold_start
from online_models.evaluation.ranking import (
    CUTOFFS,
    ListProperties,
    RankingQuality,
    hits,
    ranks_of,
    reciprocal_ranks,
)
from online_models.events import EventBatch, Floats, Int64s, UInt64s, hash_id

MODEL: Final = "keepstream"
LISTS: Final = "keepstream lists"
"""What a user would have been shown: the ranking after policy, catalogue and rules."""
_BUFFERED: Final = 1024
_LARGEST_BASKET: Final = 200


class Followed(Protocol):
    """What `follow` came to: which events were accepted, and the touches in them."""

    @property
    def accepted(self) -> Int64s:
        """Indices of the accepted events."""

    def context_at(self, event: int, place: int) -> int:
        """Return by which number a touch (accepted event, item within it) is to be asked for; -1: by none."""


Events_ = TypeVar("Events_", bound=Followed)


class Judged(Protocol[Events_]):
    """The recommender under test."""

    def follow(self, events: EventBatch) -> Events_:
        """Let users' sessions grow by events; learn nothing else from them yet."""

    def learn(self, followed: Events_, start: int, stop: int) -> None:
        """Learn from the accepted events from `start` up to `stop`."""

    def rank(self, followed: Events_, context: int, k: int) -> UInt64s:
        """Return (k,) item hashes before a touch has happened, best first, 0 where there are fewer."""

    def listed(self, followed: Events_, context: int, k: int) -> UInt64s:
        """Return the same of the list that would have been shown."""

    def offers(self, followed: Events_, context: int) -> tuple[Mapping[str, set[int]], set[int]]:
        """Return what each source of candidates offers before a touch, and what of it is ranked."""


@dataclass(frozen=True, slots=True)
class RecommendationTrialSettings:
    """How recommendations are judged.

    Parameters
    ----------
    k
        Length of the lists.
    min_history
        Earlier touches in the session that a case needs at least.
    freeze
        Whether nothing is learned from tested events.
    baskets
        Whether a case is a basket, half of which is given and the rest to be found: a hit is any item of it.
    lists
        Whether the lists that would have been shown are judged besides.
    session_gap_ms
        Silence that ends a session without an id, milliseconds.
    draws
        How intervals are resampled, over sessions.

    Raises
    ------
    InvalidParameterError
        If a number is out of range.
    """

    k: int = 20
    min_history: int = 1
    freeze: bool = False
    baskets: bool = False
    lists: bool = False
    session_gap_ms: int = 1_800_000
    draws: Draws = field(default_factory=Draws)

    def __post_init__(self) -> None:
        for name, least in (("k", 1), ("min_history", 0), ("session_gap_ms", 0)):
            if getattr(self, name) < least:
                raise InvalidParameterError(f"{name} must be at least {least}, got {getattr(self, name)}")

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """The list lengths that are judged."""
        return tuple(sorted({*(cutoff for cutoff in CUTOFFS if cutoff < self.k), self.k}))


@dataclass(frozen=True, slots=True)
class RecommendationReport:
    """What a trial found.

    Parameters
    ----------
    counts
        Events learned and tested, cases, and so on.
    never_seen
        Share of targets that no touch had shown before.
    quality
        Measures by recommender and name.
    intervals
        By baseline and measure: the model's lead with its bounds.
    recall
        By source of candidates: how often the target was among them, see `CandidateRecall`.
    cold
        By group of cases and recommender: hit rate and MRR where little is known, see `cold_start`.
    """

    counts: dict[str, int]
    never_seen: float
    quality: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Interval]]
    recall: dict[str, dict[str, float]]
    cold: dict[str, dict[str, dict[str, float]]]


class RecommendationTrial:
    """Feeds events to the model and the baselines and judges their lists.

    Parameters
    ----------
    model
        The recommender under test.
    settings
        How it is judged.
    """

    def __init__(self, model: Judged[Any], settings: RecommendationTrialSettings) -> None:
        self.settings = settings
        self._model = model
        self._sessions = SessionFollower(settings.session_gap_ms)
        # What a basket holds already is taken out of longer lists.
        self._popular = Popularity(settings.k + (_LARGEST_BASKET if settings.baskets else 0))
        self._own = OwnHistory()
        self._learners: list[Baseline] = [AssociationRules(), SequentialRules(), Vsknn(), Vstan()]
        self._baselines: list[Baseline] = [self._popular, *self._learners, self._own]
        self._categories: dict[int, int] = {}
        self._ledger = {name: _Ledger(settings) for name in self.names}
        self._waiting: list[_Case] = []
        self._counts = dict.fromkeys(
            ("learned_events", "tested_events", "cases", "new_cases", "never_seen"), 0
        )
        self._case_sessions: list[int] = []
        self._recall = CandidateRecall()
        self._knowledge: list[Knowledge] = []
        self._visits: dict[str, tuple[int, int]] = {}

    @property
    def names(self) -> list[str]:
        """The model and the baselines."""
        ours = [MODEL, LISTS] if self.settings.lists else [MODEL]
        return [*ours, *(baseline.name for baseline in self._baselines)]

    def learn(self, events: EventBatch) -> None:
        """Let everyone learn events that are not judged."""
        events = shuffle_items(events)
        followed = self._model.follow(events)
        accepted = events.take(followed.accepted)
        self._note_categories(accepted)
        for touch in self._sessions.touches(accepted):
            self._note_visit(touch)
            self._teach(touch)
        self._model.learn(followed, 0, len(accepted))
        self._counts["learned_events"] += len(accepted)

    def test(self, events: EventBatch) -> None:
        """Judge every case of the events, each before it is learned."""
        events = shuffle_items(events)
        followed = self._model.follow(events)
        accepted = events.take(followed.accepted)
        self._counts["tested_events"] += len(accepted)
        self._note_categories(accepted)
        learned = 0
        for event, touches in groupby(self._sessions.touches(accepted), key=attrgetter("event")):
            if not self.settings.freeze:
                self._model.learn(followed, learned, event)
            learned = event
            self._test_event(touches, followed)
            if len(self._waiting) >= _BUFFERED:
                self._judge()
        if not self.settings.freeze:
            self._model.learn(followed, learned, len(accepted))

    def report(self) -> RecommendationReport:
        """Return everything found so far."""
        self._judge()
        counts = self._counts | {"sessions": len(set(self._case_sessions)), "items": len(self._popular)}
        cases, never_seen = counts["cases"], counts.pop("never_seen")
        return RecommendationReport(
            counts=counts,
            never_seen=never_seen / cases if cases else float("nan"),
            quality={name: ledger.get(len(self._popular)) for name, ledger in self._ledger.items()},
            intervals={baseline.name: self._lead_over(baseline.name) for baseline in self._baselines},
            recall=self._recall.get(),
            cold=cold_start(
                self._knowledge,
                {name: ledger.ranks() for name, ledger in self._ledger.items()},
                self.settings.k,
            ),
        )

    def _test_event(self, touches: Iterator[Touch], followed: Followed) -> None:
        """Predict the touches of one event, each from those before it, then let the baselines learn them."""
        seen: list[tuple[Touch, list[int]]] = []
        for touch in touches:
            self._note_visit(touch)
            if not self.settings.baskets and touch.length >= self.settings.min_history:
                self._waiting.append(self._predict([touch], followed))
            seen.append((touch, touch.earlier[:]))
        if self.settings.baskets and len(seen) > 1:
            half = (len(seen) + 1) // 2
            self._waiting.append(self._predict([touch for touch, _ in seen[half:]], followed))
        for touch, earlier in seen:
            self._own.learn(touch.subject, earlier, touch.item)
            if not self.settings.freeze:
                self._teach_items(touch, earlier)

    def _predict(self, wanted: Sequence[Touch], followed: Followed) -> "_Case":
        """Let everyone foretell the touches of one event that come after its first ones."""
        touch, k = wanted[0], self.settings.k
        earlier = touch.earlier[: touch.length]
        # What a basket holds already cannot be found in it any more.
        given = set(earlier[touch.length - touch.place :]) if self.settings.baskets else set()
        length = k + len(given)
        context = followed.context_at(touch.event, touch.place)
        ranked = self._model.rank(followed, context, length).tolist() if context >= 0 else []
        offered, kept = self._model.offers(followed, context) if context >= 0 else ({}, set())
        self._recall.update({one.item for one in wanted}, offered, kept)
        known = max(self._popular.count(one.item) for one in wanted)
        self._knowledge.append(Knowledge(self._visits[touch.subject][1], known, self._popular.touches))
        rankings = [[item for item in ranked if item]]
        if self.settings.lists:
            shown = self._model.listed(followed, context, length).tolist() if context >= 0 else []
            rankings.append([item for item in shown if item])
        rankings += [b.rank(touch.subject, earlier, length, touch.time_ms) for b in self._baselines]
        return _Case(
            touch.session,
            [one.item for one in wanted],
            all(one.item in earlier for one in wanted),
            known > 0,
            [_listed(ranking, given, k) for ranking in rankings],
        )

    def _teach(self, touch: Touch) -> None:
        self._own.learn(touch.subject, touch.earlier, touch.item)
        self._teach_items(touch, touch.earlier)

    def _teach_items(self, touch: Touch, earlier: list[int]) -> None:
        self._popular.learn(touch.subject, earlier, touch.item)
        for baseline in self._learners:
            baseline.learn(touch.subject, earlier, touch.item, touch.time_ms)

    def _note_visit(self, touch: Touch) -> None:
        session, visits = self._visits.get(touch.subject, (-1, 0))
        if touch.session != session:
            self._visits[touch.subject] = touch.session, visits + 1

    def _note_categories(self, events: EventBatch) -> None:
        for item, category in zip(events.item_hash.tolist(), events.category, strict=True):
            if category:
                self._categories[item] = hash_id(category)

    def _judge(self) -> None:
        cases, self._waiting = self._waiting, []
        if not cases:
            return
        width = max(len(case.targets) for case in cases)
        # Rows are filled up with a target that is there already.
        padded = [case.targets + case.targets[:1] * (width - len(case.targets)) for case in cases]
        targets = np.array(padded, dtype=np.uint64)
        repeats = np.array([case.repeat for case in cases])
        self._counts["cases"] += len(cases)
        self._counts["new_cases"] += int(np.count_nonzero(~repeats))
        self._counts["never_seen"] += sum(not case.seen for case in cases)
        self._case_sessions += [case.session for case in cases]
        for place, ledger in enumerate(self._ledger.values()):
            lists = np.stack([case.lists[place] for case in cases])
            ledger.update(_best_ranks(targets, lists), repeats, lists, *self._described(lists))

    def _described(self, lists: UInt64s) -> tuple[Floats, UInt64s]:
        flat = lists.ravel().tolist()
        shares = np.array([self._popular.share(item) for item in flat])
        categories = np.array([self._categories.get(item, 0) for item in flat], dtype=np.uint64)
        return shares.reshape(lists.shape), categories.reshape(lists.shape)

    def _lead_over(self, baseline: str) -> dict[str, Interval]:
        _, sessions = np.unique(self._case_sessions, return_inverse=True)
        ours, theirs = self._ledger[MODEL].ranks(), self._ledger[baseline].ranks()
        k = self.settings.k
        return {
            f"{name}@{k}": interval_of_means(
                measure(ours, k), measure(theirs, k), sessions, self.settings.draws
            )
            for name, measure in (("hit_rate", hits), ("mrr", reciprocal_ranks))
        }


@dataclass(frozen=True, slots=True)
class _Case:
    session: int
    targets: list[int]
    repeat: bool
    seen: bool
    lists: list[UInt64s]


def _listed(ranking: Sequence[int], given: set[int], k: int) -> UInt64s:
    kept = [item for item in ranking if item not in given][:k]
    return np.array(kept + [0] * (k - len(kept)), dtype=np.uint64)


def _best_ranks(targets: UInt64s, lists: UInt64s) -> Int64s:
    """Return where the first of each case's targets (n, t) stands in its list, -1 without any."""
    ranks = np.stack([ranks_of(column, lists) for column in targets.T])
    best = np.where(ranks < 0, lists.shape[1], ranks).min(axis=0)
    return np.where(best < lists.shape[1], best, -1)


class _Ledger:
    """What one recommender achieved."""

    def __init__(self, settings: RecommendationTrialSettings) -> None:
        self._quality = RankingQuality(settings.cutoffs)
        self._properties = ListProperties()
        self._ranks: list[Int64s] = []

    def update(
        self, ranks: Int64s, repeats: np.ndarray, lists: UInt64s, shares: Floats, categories: UInt64s
    ) -> None:
        self._quality.update(ranks, repeats)
        self._properties.update(lists, shares, categories)
        self._ranks.append(ranks)

    def ranks(self) -> Int64s:
        return np.concatenate(self._ranks) if self._ranks else np.zeros(0, dtype=np.int64)

    def get(self, known: int) -> dict[str, float]:
        return self._quality.get() | self._properties.get(known)
