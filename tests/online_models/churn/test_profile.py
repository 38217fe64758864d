from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from online_models.churn.effects import UserEffects
from online_models.churn.features import FEATURE_NAMES
from online_models.churn.labels import ROW_PREFIX as LABEL_ROWS
from online_models.churn.labels import ExampleBatch
from online_models.churn.profile import UserStore
from online_models.churn.settings import DAY_MS, HOUR_MS, MINUTE_MS
from online_models.errors import CorruptStateError
from online_models.events import hash_id
from online_models.journal import FORMAT_ROWS
from online_models.row_format import SCHEMA_ROWS
from online_models.winback.open_decisions import ROW_PREFIX as DECISION_ROWS
from tests.online_models.churn.reference import ReferenceStore
from tests.online_models.churn.workload import (
    BOUNDED,
    CAREFUL,
    SMALL,
    START_MS,
    WATCHED,
    Event,
    bandit_of,
    batch_of,
    crowd,
    cut,
    event_logs,
    scorer_of,
)


def run(events, size, scorer=None, store=None):
    """Return the store and its effects with batch indices turned into places in the log."""
    store = UserStore(SMALL) if store is None else store
    done, at = [], 0
    for batch in cut(events, size):
        done.append((at, store.apply(batch, scorer, bandit_of())))
        at += size
    return store, done


def outcome(done):
    """Return effects as plain values that do not depend on where batches were cut."""
    examples = ExampleBatch.concat([effects.examples for _, effects in done])
    pairs = [batch for _, effects in done for batch in effects.pairs]
    hashes = [batch.hashes for batch in pairs]
    return {
        "accepted": [at + i for at, effects in done for i in effects.accepted.tolist()],
        "duplicates": [at + i for at, effects in done for i in effects.duplicates.tolist()],
        "rejects": [(at + i, reject) for at, effects in done for i, reject in effects.rejects],
        "examples": examples.pack(),
        "alerts": [alert for _, effects in done for alert in effects.alerts],
        "decisions": [decision for _, effects in done for decision in effects.decisions],
        "outcomes": [one for _, effects in done for one in effects.outcomes],
        "profiles": [profile for _, effects in done for profile in effects.profiles],
        "boards": [board for _, effects in done for board in effects.boards],
        "withheld": sum((Counter(effects.withheld) for _, effects in done), Counter()),
        "muted": sum((Counter(effects.muted) for _, effects in done), Counter()),
        "cut_off": sum((Counter(effects.cut_off) for _, effects in done), Counter()),
        "forgotten": [(one.subject, one.reason, one.published) for _, e in done for one in e.forgotten],
        "scores": published(done),
        "touches": [
            (int(h[i]), int(t))
            for h, batch in zip(hashes, pairs, strict=True)
            for i, t in zip(batch.touch_item, batch.touch_time, strict=True)
        ],
        "pairs": [
            (int(h[i]), int(h[j]), int(k), float(w), int(t))
            for h, batch in zip(hashes, pairs, strict=True)
            for i, j, k, w, t in zip(
                batch.owner, batch.partner, batch.distance, batch.weight, batch.time, strict=True
            )
        ],
    }


def published(done):
    """Return scores and tombstones in the order in which they are to be published."""
    found = []
    for _, effects in done:
        at = 0
        for one in effects.forgotten:
            found += effects.scores[at : one.scores_before]
            at = one.scores_before
            found += [one.subject] if one.published else []
        found += effects.scores[at:]
    return found


def state(store):
    """Return everything a store knows of users, labels and clock, byte for byte."""
    others = (
        b"\0dedupe:",
        FORMAT_ROWS,
        *(start + SCHEMA_ROWS for start in (b"", LABEL_ROWS, DECISION_ROWS)),
    )
    return {key: value for key, value in saved(store).items() if not key.startswith(others)}


def saved(store):
    """Return all rows of a store, changed or not."""
    store._table.touch(store._table.live_rows())
    store._labels._table.touch(store._labels._table.live_rows())
    waiting = store._desk.waiting._table
    waiting.touch(waiting.live_rows())
    store._shown._dirty |= set(store._shown._lists)
    store._clock_dirty = True
    return {key: value for key, value in store.dirty_rows() if value is not None}


@pytest.mark.parametrize("options", [SMALL, CAREFUL, WATCHED], ids=["free", "careful", "watched"])
class TestBatchBoundaries:
    @settings(max_examples=60, deadline=None)
    @given(events=event_logs)
    def test_rows_examples_scores_alerts_and_pairs_do_not_depend_on_where_batches_are_cut(
        self, options, events
    ):
        scorer = scorer_of()
        whole, done = run(events, len(events), scorer, UserStore(options))
        for size in (1, 7):
            pieces, cut_done = run(events, size, scorer, UserStore(options))
            assert outcome(cut_done) == outcome(done)
            assert state(pieces) == state(whole)

    @settings(max_examples=40, deadline=None)
    @given(events=event_logs)
    def test_a_store_restored_at_any_cut_goes_on_as_if_nothing_had_happened(self, options, events):
        scorer = scorer_of()
        whole, done = run(events, 5, scorer, UserStore(options))
        log, resumed = [], []
        for at in range(0, len(events), 5):
            store = UserStore(options)
            for start in range(0, len(log), 3):
                store.restore(log[start : start + 3])
            store.restored()
            resumed.append((at, store.apply(batch_of(events[at : at + 5], at), scorer, bandit_of())))
            log += store.dirty_rows()
        assert outcome(resumed) == outcome(done)
        assert state(store) == state(whole)

    @pytest.mark.parametrize("seed", range(4))
    def test_events_of_a_crowd_applied_after_a_tick_count_as_if_applied_before(self, options, seed):
        events, scorer = crowd(seed), scorer_of()
        eager, one_by_one = run(events, 1, scorer, UserStore(options))
        for size in (7, len(events)):
            store, done = run(events, size, scorer, UserStore(options))
            assert outcome(done) == outcome(one_by_one)
            assert state(store) == state(eager)

    def test_active_users_are_named_once_with_their_last_touch(self, options):
        events = [Event("u:a", items=("x",)), Event("u:b", items=("x",)), Event("u:a", items=("y",))]
        effects = UserStore(options).apply(batch_of([*events, Event("u:a", "search")]))
        assert effects.active == [("u:b", 1), ("u:a", 2)]


class TestAgainstTheReference:
    @pytest.mark.parametrize("options", [SMALL, BOUNDED], ids=["free", "bounded"])
    @settings(max_examples=120, deadline=None)
    @given(events=event_logs)
    def test_counts_sessions_labels_and_pairs_are_those_of_a_plain_implementation(self, options, events):
        store, done = run(events, 11, store=UserStore(options))
        plain = ReferenceStore(options)
        for event in events:
            plain.apply(event)
        found = outcome(done)
        assert found["duplicates"] == plain.duplicates
        assert [place for place, _ in found["rejects"]] == plain.too_late
        checks = [(score.subject, score.at_ms) for _, effects in done for score in effects.scores]
        assert checks == plain.checks
        assert [(subject, reason) for subject, reason, _ in found["forgotten"]] == plain.forgotten
        assert found["cut_off"]["labels"] == plain.cut_off
        examples = ExampleBatch.unpack(found["examples"])
        columns = (examples.matured_ms, examples.landmark_ms, examples.kind, examples.subject, examples.label)
        assert [tuple(int(v) for v in row) for row in zip(*columns, strict=True)] == plain.examples
        self.same_pairs(found["pairs"], plain.pairs)
        assert len(store) == len(plain.users)
        for subject, user in plain.users.items():
            self.same_user(store.lookup(subject), user)

    def same_pairs(self, pairs, expected):
        forward = [(first, later, k) for first, later, k, _, _ in pairs if k > 0]
        assert forward == [(hash_id(first), hash_id(later), k) for first, later, k in expected]

    def same_user(self, view, user):
        assert view.event_counts == user.counts
        assert view.sessions == user.sessions
        assert (view.first_ms, view.last_ms) == (min(user.activity, default=0), max(user.activity, default=0))
        assert view.session_touches == len(user.session_items)
        assert view.recent == [hash_id(item) for item in user.recent]
        assert view.bought == [hash_id(item) for item in user.bought]
        assert view.cart_items == max(user.cart, 0)
        assert view.spend == pytest.approx(user.spend)
        assert view.pending_labels == [landmark.at for landmark in user.landmarks]


class TestSessions:
    def view(self, *events):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:ann", time=START_MS + at, session=s) for at, s in events]))
        return store.lookup("u:ann")

    def test_a_silence_longer_than_the_gap_opens_a_session(self):
        assert self.view((0, ""), (30 * MINUTE_MS, ""), (61 * MINUTE_MS, "")).sessions == 2

    def test_a_session_id_holds_a_session_together_over_any_silence(self):
        assert self.view((0, "s"), (5 * HOUR_MS, "s")).sessions == 1

    def test_an_event_without_id_joins_the_session_it_follows_closely(self):
        assert self.view((0, "s"), (1000, ""), (2000, "s")).sessions == 1

    def test_a_late_event_never_opens_a_session(self):
        assert self.view((50 * MINUTE_MS, ""), (0, ""), (1000, "other")).sessions == 1


class TestLabels:
    def frozen(self, after_ms=None):
        """Return a store, the first landmark of a user, and whether activity follows it after a time."""
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:ann")]))
        store.tick(START_MS + SMALL.landmark_interval_ms + 1)
        [landmark] = store.lookup("u:ann").pending_labels
        if after_ms is not None:
            store.apply(batch_of([Event("u:ann", time=landmark + after_ms)], 1))
        return store, landmark

    def released(self, effects, landmark):
        columns = (effects.examples.kind, effects.examples.landmark_ms, effects.examples.label)
        return {int(k): int(y) for k, at, y in zip(*columns, strict=True) if at == landmark}

    @pytest.mark.parametrize(
        ("after_ms", "label"), [(None, 1), (1, 0), (SMALL.horizon_ms, 0), (SMALL.horizon_ms + 1, 1)]
    )
    def test_a_churn_label_is_released_at_the_horizon_plus_lateness_for_either_class(self, after_ms, label):
        store, landmark = self.frozen(after_ms)
        due = landmark + SMALL.horizon_ms + SMALL.allowed_lateness_ms
        assert 0 not in self.released(store.tick(due), landmark)
        assert self.released(store.tick(due + 1), landmark)[0] == label

    @pytest.mark.parametrize(
        ("after_ms", "label"),
        [(None, 0), (1, 1), (SMALL.hazard_step_ms, 1), (SMALL.hazard_step_ms + 1, 0)],
    )
    def test_a_hazard_label_is_released_at_the_step_plus_lateness(self, after_ms, label):
        store, landmark = self.frozen(after_ms)
        due = landmark + SMALL.hazard_step_ms + SMALL.allowed_lateness_ms
        assert self.released(store.tick(due), landmark) == {}
        assert self.released(store.tick(due + 1), landmark) == {1: label}

    def test_activity_at_the_landmark_itself_is_no_return(self):
        store, landmark = self.frozen(0)
        effects = store.tick(landmark + SMALL.hazard_step_ms + SMALL.allowed_lateness_ms + 1)
        assert self.released(effects, landmark) == {1: 0}

    def test_a_late_return_answers_a_landmark_but_changes_no_frozen_feature(self):
        store, landmark = self.frozen()
        early, _ = self.frozen()
        before = next(v for k, v in saved(early).items() if k.startswith(b"\0landmarks:u:ann"))
        store.apply(batch_of([Event("u:bob", time=landmark + 2 * HOUR_MS)], 1))
        store.apply(batch_of([Event("u:ann", "purchase", landmark + HOUR_MS + 1, value=50.0)], 2))
        after = next(v for k, v in saved(store).items() if k.startswith(b"\0landmarks:u:ann"))
        features = SMALL.landmark_slots * len(FEATURE_NAMES) * 4
        assert after[-features - 4 : -4] == before[-features - 4 : -4], "all but the checksum behind them"
        effects = store.tick(landmark + SMALL.hazard_step_ms + SMALL.allowed_lateness_ms + 1)
        assert self.released(effects, landmark) == {1: 1}

    def test_no_more_landmarks_wait_than_there_are_slots(self):
        store = UserStore(SMALL)
        for hour in range(0, 24 * 12, 5):
            store.apply(batch_of([Event("u:ann", time=START_MS + hour * HOUR_MS)], hour))
            assert len(store.lookup("u:ann").pending_labels) <= SMALL.landmark_slots


class TestPopulation:
    def checks_until(self, ms):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:ann")]))
        return [score.at_ms for score in store.tick(START_MS + ms).scores]

    def test_a_user_is_checked_every_interval_while_active_within_the_horizon(self):
        checks = self.checks_until(9 * DAY_MS)
        assert np.unique(np.diff(checks)).tolist() == [SMALL.check_interval_ms]
        assert len(checks) == SMALL.horizon_ms // SMALL.check_interval_ms
        assert START_MS <= checks[0] < START_MS + SMALL.check_interval_ms

    def test_anonymous_users_are_never_checked(self):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("a:cookie")]))
        assert store.tick(START_MS + 9 * DAY_MS).scores == []


class TestLiveClock:
    def test_ticks_of_the_live_clock_are_those_that_events_would_have_brought(self):
        live, fed = UserStore(SMALL), UserStore(SMALL)
        first = batch_of([Event("u:ann", items=("a1",)), Event("u:bob")])
        live.apply(first)
        fed.apply(first)
        later = START_MS + 9 * DAY_MS
        ticked = [live.tick(at) for at in range(START_MS, later, 7 * HOUR_MS)]
        ticked.append(live.tick(later))
        effects = fed.apply(batch_of([Event("u:eve", time=later)], 2))
        assert [s for e in ticked for s in e.scores] == effects.scores
        assert ExampleBatch.concat([e.examples for e in ticked]).pack() == effects.examples.pack()

    def test_a_clock_before_the_first_event_does_nothing(self):
        store = UserStore(SMALL)
        effects = store.tick(START_MS)
        assert isinstance(effects, UserEffects)
        assert store.dirty_rows() == []


class TestErasure:
    def test_an_erased_user_leaves_no_row_but_tombstones(self):
        store = UserStore(SMALL)
        store.apply(batch_of([Event("u:ann", items=("a1",)), Event("u:bob", time=START_MS + 2 * DAY_MS)]))
        store.dirty_rows()
        effects = store.apply(batch_of([Event("u:ann", "user_erased", START_MS + 2 * DAY_MS)], 2))
        assert [(one.subject, one.reason) for one in effects.forgotten] == [("u:ann", "erased")]
        assert store.lookup("u:ann") is None
        gone = {key for key, value in store.dirty_rows() if value is None}
        assert {b"u:ann", b"\0landmarks:u:ann"} <= gone

    def test_an_erasure_is_never_too_late_and_does_not_move_the_clock(self):
        """A present request amid a replay of old events must not let everybody look long gone."""
        store = UserStore(BOUNDED)
        store.apply(batch_of([Event("u:ann"), Event("u:bob", time=START_MS + DAY_MS)]))
        now = store.clock.now_ms
        years = 3_000 * DAY_MS
        for at, subject in ((START_MS + years, "u:ann"), (START_MS - years, "u:bob")):
            effects = store.apply(batch_of([Event(subject, "user_erased", at)], 5 + at % 7))
            assert (effects.rejects, effects.scores) == ([], [])
            assert [one.subject for one in effects.forgotten] == [subject]
            assert store.lookup(subject) is None
        assert store.clock.now_ms == now

    def test_what_comes_after_an_erasure_begins_a_new_profile(self):
        store = UserStore(SMALL)
        store.apply(
            batch_of([Event("u:ann", items=("a1",)), Event("u:ann", "user_erased"), Event("u:ann", "login")])
        )
        assert store.lookup("u:ann").event_counts == {"login": 1}
        assert store.lookup("u:ann").recent == []


class TestHistories:
    def test_the_newest_touch_comes_first_and_unknown_users_have_none(self):
        store = UserStore(SMALL)
        store.apply(
            batch_of(
                [
                    Event("u:ann", items=("a1", "a2")),
                    Event("u:ann", "purchase", START_MS + 2 * HOUR_MS, ("b1",)),
                ]
            )
        )
        found = store.histories(["u:nobody", "u:ann"])
        assert found.items[0].tolist() == [0, 0, 0, 0]
        assert found.items[1].tolist() == [hash_id("b1"), hash_id("a2"), hash_id("a1"), 0]
        assert found.in_session.tolist() == [0, 1]
        assert found.bought[1].tolist() == [hash_id("b1"), 0, 0]
        assert found.bought_ms[1, 0] == START_MS + 2 * HOUR_MS


class TestRestore:
    def test_a_row_of_other_settings_is_refused_by_name(self):
        store = UserStore(SMALL)
        with pytest.raises(CorruptStateError, match="u:ann"):
            store.restore([(b"u:ann", b"something else")])

    def test_features_are_finite_whatever_an_event_claims(self):
        store = UserStore(SMALL)
        store.apply(
            batch_of(
                [
                    Event("u:ann", "purchase", value=float("inf"), items=("a1",)),
                    Event("u:ann", "purchase", value=-1e300),
                    Event("u:ann", "review_submitted", rating=1e9),
                    Event("u:ann", "purchase", value=1e300),
                ]
            )
        )
        scores = store.tick(START_MS + 2 * DAY_MS).scores
        assert scores
        assert all(np.isfinite(score.probability) for score in scores)
