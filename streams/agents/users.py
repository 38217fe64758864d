"""The users agent: judges events, keeps its users, and says what follows for items, models and people."""

import logging
import math
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise
from operator import itemgetter
from typing import Any, NamedTuple

from online_models.churn.effects import UserEffects
from online_models.churn.labels import ExampleBatch
from online_models.churn.profile import UserStore
from online_models.churn.rows import IS_TOUCH
from online_models.churn.settings import UserSettings
from online_models.evaluation.live_lists import LiveLists
from online_models.events import EventBatch, Int64s, Reject, UInt64s, hash_ids
from online_models.experiments.outcomes import ExperimentOutcomes
from online_models.items.compose import Lists
from online_models.items.pairs import PairBatch, item_partitions
from online_models.items.rank_examples import examples_of
from online_models.items.recommender import Recommender
from online_models.winback.outcomes import OutcomeBatch
from online_models.winback.settings import NONE
from streams import encode
from streams.agents import customers, documents, interventions
from streams.agents.broadcast import Broadcast
from streams.agents.lists import ListMaker
from streams.agents.report import Report
from streams.decode import Decoder
from streams.engine.handler import Output, Record, Row
from streams.schemas import Origin

log = logging.getLogger(__name__)

_EXAMPLES_PER_RECORD = 2_000
_SETS_PER_RECORD = 100
_MOST_UNTOLD = 100
"""Judged lists after which their quality is told anew at the latest; a tenth more, else."""


class UsersTopics(NamedTuple):
    """Full names of the topics that the agent reads and writes."""

    events: str
    dead_letters: str
    item_pairs: str
    examples: str
    rank_examples: str
    scores: str
    alerts: str
    interventions: str
    profiles: str
    retention: str
    recommendations: str


class UsersHandler:
    """Owns the users of one partition of the event topic.

    Parameters
    ----------
    settings, decoder, recommender
        Of the store, of what is accepted, and of the lists.
    list_length
        Items of a list.
    partition, partitions
        Number of this partition, and how many there are.
    topics
        Full names.
    broadcast
        The newest models and neighbours, shared by the worker.
    live
        Judge of the lists, shared by the worker.
    report
        Takes what is measured.
    """

    def __init__(
        self,
        settings: UserSettings,
        *,
        decoder: Decoder,
        recommender: Recommender,
        list_length: int,
        partition: int,
        partitions: int,
        topics: UsersTopics,
        broadcast: Broadcast,
        live: LiveLists,
        report: Report,
    ) -> None:
        self.store = UserStore(settings)
        self._decoder, self._recommender, self._length = decoder, recommender, list_length
        self._partition, self._partitions = partition, partitions
        self._topics, self._broadcast, self._live, self._report = topics, broadcast, live, report
        self._lister = ListMaker(recommender, settings.experiments, broadcast, list_length)
        self._full = False
        self._dropped_ids = 0
        self._told_at = 1

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load changelog rows."""
        self.store.restore(rows)

    def restored(self) -> None:
        """Finish loading."""
        self.store.restored()

    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        """Judge the records, apply the events, and return everything that follows from them."""
        decoded = self._decoder.decode(records)
        events = decoded.events
        effects = self.store.apply(events, self._broadcast.scorer, self._broadcast.bandit)
        rejects = decoded.rejects + [(int(decoded.index[i]), reject) for i, reject in effects.rejects]
        self._report.events(
            effects.accepted.size,
            effects.duplicates.size,
            Counter(reject.reason for _, reject in rejects),
        )
        for reason, count in effects.muted.items():
            self._report.muted(reason, count)
        if self.store.clock.now_ms > 0:
            self._report.event_time(self._partition, self.store.clock.now_ms)
        self._report_sizes()
        self._judge_lists(events, effects)
        self.store.experiments.saw(events, effects.accepted)
        return [
            *self._letters(records, rejects, effects, decoded.index),
            *self._follow(effects, records[-1].offset),
            *self._rank_examples(effects),
            *self._lists(effects),
            *self._experiments(),
        ]

    def tick(self, now_ms: int) -> Sequence[Output]:
        """Let the wall clock move the partition's clock: checks and labels fall due without events."""
        effects = self.store.tick(now_ms, self._broadcast.scorer, self._broadcast.bandit)
        return [*self._follow(effects, -1), *self._experiments()]

    def idle(self, now_ms: int) -> Sequence[Output]:  # noqa: ARG002  # see below
        """Do nothing: nothing is held back."""
        return ()

    def dirty_rows(self) -> Sequence[Row]:
        """Return the rows changed since the last checkpoint."""
        return self.store.dirty_rows()

    def poison(self, record: Record, error: BaseException) -> Sequence[Output]:
        """Send a record that cannot be applied to the dead letters, with what it raised."""
        self._report.events(0, 0, {"poison": 1})
        reject = Reject("poison", f"{type(error).__name__}: {error}")
        return self._dead_letters([record], [(0, reject)], error)

    def lookup(self, subject: str) -> dict[str, Any] | None:
        """Return what is known of a user, ready for JSON; None where nothing is known here."""
        view = self.store.lookup(subject)
        if view is None:
            return None
        return documents.user_profile(
            view,
            explanation=self.store.explanation(subject, self._broadcast.scorer),
            lists=self._recommend([subject]),
            item_id=self._broadcast.item_id,
            now_ms=self.store.clock.now_ms,
            cooldown_ms=self.store.settings.alerts.cooldown_ms,
        )

    def _letters(
        self,
        records: Sequence[Record],
        rejects: Sequence[tuple[int, Reject]],
        effects: UserEffects,
        index: Int64s,
    ) -> list[Output]:
        """Return dead letters, and tombstones of those of erased users, in the order of the log."""
        letters, done = self._dead_letters(records, rejects), 0
        places = sorted(place for place, _ in rejects)
        found = []
        for one in effects.forgotten:
            if one.event >= 0:
                at = int(index[one.event])
                earlier = bisect(places, at)
                found += letters[done:earlier]
                done = earlier
                found += self._erased_letters(records[at], one.subject)
        return [*found, *letters[done:]]

    def _dead_letters(
        self,
        records: Sequence[Record],
        rejects: Sequence[tuple[int, Reject]],
        error: BaseException | None = None,
    ) -> list[Output]:
        self._report.outputs(self._topics.dead_letters, len(rejects))
        return [
            Output(
                self._topics.dead_letters,
                self._partition,
                encode.not_null(records[index].key),
                encode.not_null(records[index].value),
                encode.dead_letter(records[index], reject, self._topics.events, self._partition, error),
            )
            for index, reject in sorted(rejects, key=lambda entry: entry[0])
        ]

    def _erased_letters(self, record: Record, subject: str) -> list[Output]:
        """Return tombstones for the dead letters of a user: under the bare id, and the key of the request."""
        keys = dict.fromkeys((subject[2:].encode(), record.key))
        return [Output(self._topics.dead_letters, self._partition, key, None) for key in keys if key]

    def _follow(self, effects: UserEffects, offset: int) -> list[Output]:
        """Return pairs, examples, scores, alerts and tombstones."""
        origin = Origin("users", "churn", self._topics.events, self._partition, max(offset, 0))
        alerts = encode.encode_alerts(
            documents.alerts(effects.alerts, origin, self.store.settings.horizon_ms)
        )
        self._report.scores(len(effects.scores))
        for band, count in Counter(documents.band(a.probability) for a in effects.alerts).items():
            self._report.alerts(band, count)
        for withheld, count in effects.withheld.items():
            self._report.withheld(withheld, count)
        for reason, count in Counter(one.reason for one in effects.forgotten).items():
            self._report.evicted("users", reason, count)
        for kind, count in effects.cut_off.items():
            self._report.evicted(kind, "cut_off", count)
        for one in effects.forgotten:
            self._live.forget(one.subject)
            self.store.experiments.forget(one.subject)
        return [
            *self._pairs(effects.pairs),
            *self._examples(effects.examples),
            *self._scores(effects, origin),
            *self._keyed(self._topics.alerts, alerts),
            *self._interventions(effects, offset),
            *self._value(effects, offset),
        ]

    def _value(self, effects: UserEffects, offset: int) -> list[Output]:
        """Return tombstones of forgotten customers, profiles from after that, and the boards."""
        origin = Origin("users", "value", self._topics.events, self._partition, max(offset, 0))
        gone_before = {one.subject: one.profiles_before for one in effects.forgotten}
        profiles = [
            profile
            for place, profile in enumerate(effects.profiles)
            if place >= gone_before.get(profile.subject, 0)
        ]
        published = {one.subject: None for one in effects.forgotten if one.published}
        boards = customers.boards(effects.boards, origin, self.store.settings.horizon_ms)
        if effects.boards:
            self._report.board(self._partition, effects.boards[-1])
        return [
            *(Output(self._topics.profiles, self._partition, s.encode(), None) for s in published),
            *self._keyed(self._topics.profiles, encode.encode_profiles(customers.profiles(profiles, origin))),
            *self._keyed(self._topics.retention, encode.encode_boards(boards)),
        ]

    def _interventions(self, effects: UserEffects, offset: int) -> list[Output]:
        """Return what was decided on win-back, what came of earlier decisions, and that for the trainer."""
        if not effects.decisions and not effects.outcomes:
            return []
        for action, count in Counter(decision.action for decision in effects.decisions).items():
            self._report.interventions(action, count)
        origin = Origin("users", "winback", self._topics.events, self._partition, max(offset, 0))
        horizon_ms = self.store.settings.horizon_ms
        treated = [one.subject for one in effects.decisions if one.action != NONE]
        lists = documents.lists_by_subject(treated, self._recommend(treated))
        told = [
            *(
                (one.matured_ms, document)
                for one, document in zip(
                    effects.outcomes,
                    interventions.outcomes(effects.outcomes, origin, horizon_ms),
                    strict=True,
                )
            ),
            *(
                (one.at_ms, document)
                for one, document in zip(
                    effects.decisions,
                    interventions.decisions(effects.decisions, lists, origin, horizon_ms),
                    strict=True,
                )
            ),
        ]
        # One batch may hold a decision, its outcome, and the next decision. At one tick outcomes come first.
        found = [document for _, document in sorted(told, key=itemgetter(0))]
        batch = OutcomeBatch.of(effects.outcomes)
        examples = [Output(self._topics.examples, 0, None, batch.pack())] if len(batch) else []
        return [*self._keyed(self._topics.interventions, encode.encode_interventions(found)), *examples]

    def _scores(self, effects: UserEffects, origin: Origin) -> list[Output]:
        """Return tombstones of forgotten users, then the scores from after that."""
        gone_before = {one.subject: one.scores_before for one in effects.forgotten}
        scores = [
            score for place, score in enumerate(effects.scores) if place >= gone_before.get(score.subject, 0)
        ]
        found = documents.scores(scores, origin, self.store.settings.horizon_ms)
        published = {one.subject: None for one in effects.forgotten if one.published}
        return [
            *(Output(self._topics.scores, self._partition, s.encode(), None) for s in published),
            *self._keyed(self._topics.scores, encode.encode_scores(found)),
        ]

    def _pairs(self, pairs: Sequence[PairBatch]) -> list[Output]:
        if not pairs:
            return []
        named = PairBatch.concat(pairs).named(self._broadcast.table.names_of)
        split = named.split(lambda hashes: item_partitions(hashes, self._partitions))
        return [Output(self._topics.item_pairs, number, None, batch.pack()) for number, batch in split]

    def _examples(self, examples: ExampleBatch) -> list[Output]:
        return [
            Output(self._topics.examples, 0, None, examples.take(slice(at, at + _EXAMPLES_PER_RECORD)).pack())
            for at in range(0, len(examples), _EXAMPLES_PER_RECORD)
        ]

    def _rank_examples(self, effects: UserEffects) -> list[Output]:
        """Return sampled touches with what would have been offered before them, as far as is known here."""
        if effects.contexts is None or not len(self._broadcast.table):
            return []
        found = examples_of(effects.contexts, self._recommender, self._broadcast.table)
        bounds = [*range(0, len(found), _SETS_PER_RECORD), len(found)]
        packed = [found.take(first, last).pack() for first, last in pairwise(bounds)]
        return [Output(self._topics.rank_examples, 0, None, value) for value in packed]

    def _keyed(self, topic: str, pairs: Sequence[tuple[bytes, bytes]]) -> list[Output]:
        self._report.outputs(topic, len(pairs))
        return [Output(topic, self._partition, key, value) for key, value in pairs]

    def _lists(self, effects: UserEffects) -> list[Output]:
        """Return one fresh list for every user of the batch who touched an item."""
        if not effects.active or not len(self._broadcast.table):
            return []
        subjects = [subject for subject, _ in effects.active]
        histories = self.store.histories(subjects)
        seen = [self._lister.seen_by(subject) for subject in subjects]
        lists = self._lister.make(seen, histories, self.store.clock.now_ms)
        found = documents.recommendations(
            effects.active,
            lists,
            self._partition,
            self._topics.events,
            self.store.clock.now_ms,
            versions=[self._lister.version_for(one) for one in seen],
            variants=[self._lister.names(one) for one in seen],
        )
        hashes = _hashes(lists.items)
        self._live.quality.add(hashes, self._broadcast.shop, self._broadcast.table, self.store.clock.now_ms)
        current = histories.items[:, 0].tolist()
        self._live.published(subjects, hashes, self._broadcast.popular(self._length), current=current)
        self.store.experiments.served(subjects, hashes, current, self.store.clock.now_ms)
        self._report.lists(len(found), lists.ways())
        return self._keyed(self._topics.recommendations, encode.encode_recommendations(found))

    def _recommend(self, subjects: Sequence[str]) -> Lists:
        seen = [self._lister.seen_by(subject) for subject in subjects]
        return self._lister.make(seen, self.store.histories(subjects), self.store.clock.now_ms)

    def _experiments(self) -> list[Output]:
        """Return what came of users whose time in an experiment is over, for the trainer."""
        follower = self.store.experiments
        outcomes = follower.matured(self.store.clock.now_ms)
        if follower.unfollowed and not self._full:
            self._full = True
            log.warning("experiments: partition %d takes no more users", self._partition)
        batch = ExperimentOutcomes.of(outcomes)
        return [Output(self._topics.examples, 0, None, batch.pack())] if len(batch) else []

    def _report_sizes(self) -> None:
        store = self.store
        self._report.state("users", self._partition, len(store), store.nbytes)
        self._report.dedupe(self._partition, store.remembered_ids, store.dropped_ids - self._dropped_ids)
        self._dropped_ids = store.dropped_ids

    def _judge_lists(self, events: EventBatch, effects: UserEffects) -> None:
        """Let every touch judge the list its user was given before this batch."""
        rows = effects.accepted[IS_TOUCH[events.kind[effects.accepted]]]
        rows = rows[events.item_start[rows + 1] > events.item_start[rows]]
        self._live.touched(
            [events.subject[i] for i in rows.tolist()], events.item_hash[events.item_start[rows]].tolist()
        )
        cases = self._live.cases
        if cases < self._told_at:
            return
        self._told_at = cases + max(1, min(cases // 10, _MOST_UNTOLD))
        for baseline, metrics in self._live.get().items():
            for metric, value in metrics.items():
                if not math.isnan(value):
                    self._report.recommendation_quality(f"{baseline}_{metric}", value)


def _hashes(lists: Sequence[Sequence[str]]) -> list[UInt64s]:
    """Return the hashes of lists of ids, views of one column."""
    every = hash_ids(list(chain.from_iterable(lists)))
    ends = list(accumulate(map(len, lists)))
    return [every[end - len(ids) : end] for ids, end in zip(lists, ends, strict=True)]
