"""State goes on under other settings: rings and slots of other lengths, another horizon, other half-lives."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.churn.labels import EXAMPLE_KINDS, ExampleBatch
from online_models.churn.landmark_rows import landmark_layout
from online_models.churn.profile import UserStore
from online_models.churn.settings import DAY_MS, HOUR_MS
from online_models.churn.trainer import TrainerSettings, TrainerStore
from online_models.events import hash_id
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.rows import item_layout
from online_models.items.settings import CooccurrenceSettings
from online_models.items.slots import BACKWARD, FORWARD
from online_models.table import Table
from tests.online_models.churn.test_model import examples
from tests.online_models.churn.test_profile import outcome
from tests.online_models.churn.workload import SMALL, START_MS, Event, batch_of, event_logs
from tests.online_models.items.workload import log_of, random_touches


def moved(store, into, log=None, chunk=5):
    """Return a fresh store restored from the log, to which the other one adds what it has not written yet."""
    log = [] if log is None else log
    log += store.dirty_rows()
    for start in range(0, len(log), chunk):
        into.restore(log[start : start + chunk])
    into.restored()
    return into


class TestRings:
    @settings(max_examples=40, deadline=None)
    @given(event_logs, st.integers(3, 9), st.integers(1, 6), st.floats(0, 1))
    def test_touches_and_purchases_are_cut_or_go_on_and_nothing_else_changes(self, events, touches, buys, at):
        other = dataclasses.replace(SMALL, recent_items=touches, bought_items=buys)
        place = max(1, int(at * len(events)))
        undisturbed, first, second = UserStore(SMALL), UserStore(SMALL), UserStore(other)
        begin = first.apply(batch_of(events[:place]))
        moved(first, second)
        found = [(0, begin), (place, second.apply(batch_of(events[place:], place)))]
        expected = outcome([(0, undisturbed.apply(batch_of(events)))])
        for name in ("accepted", "duplicates", "rejects", "touches", "pairs", "forgotten"):
            assert outcome(found)[name] == expected[name], name
        assert len(second) == len(undisturbed)
        for subject in {event.subject for event in events}:
            view, whole = second.lookup(subject), undisturbed.lookup(subject)
            if whole is None:
                assert view is None
                continue
            for name, length, before in (("recent", touches, 4), ("bought", buys, 3)):
                known, wanted = getattr(view, name), getattr(whole, name)
                assert known[: min(length, before)] == wanted[: min(length, before)]
                assert len(known) <= length
            alike = {"recent": [], "bought": [], "score": 0.0}
            assert dataclasses.replace(view, **alike) == dataclasses.replace(whole, **alike)

    @settings(max_examples=25, deadline=None)
    @given(event_logs, st.integers(3, 9))
    def test_a_setting_taken_back_before_a_row_changed_leaves_the_row_as_it_was(self, events, touches):
        first = UserStore(SMALL)
        first.apply(batch_of(events))
        rows = first.dirty_rows()
        other = UserStore(dataclasses.replace(SMALL, recent_items=touches))
        other.restore(rows)
        other.restored()
        rows += other.dirty_rows()
        back = UserStore(SMALL)
        back.restore(rows)
        back.restored()
        assert {s: back.lookup(s) for s in {e.subject for e in events}} == {
            s: first.lookup(s) for s in {e.subject for e in events}
        }


visits = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), min_size=3, max_size=25)


class TestHorizon:
    @settings(max_examples=60, deadline=None)
    @given(visits, st.sampled_from((1, 2, 3, 5, 9)), st.sampled_from((12, 24, 48)), st.integers(1, 24))
    def test_landmarks_that_wait_get_the_label_of_the_new_horizon(self, steps, days, interval, place):
        """Whether a user came back within it is known from when they came back, whatever was asked before."""
        time, events = START_MS, []
        for name, hours in steps:
            time += hours * HOUR_MS + 1
            events.append(Event(f"u:{name}", time=time))
        end = Event("u:end", time=time + 30 * DAY_MS)
        other = dataclasses.replace(
            SMALL,
            horizon_ms=days * DAY_MS,
            hazard_step_ms=min(days, 2) * DAY_MS,
            landmark_interval_ms=interval * HOUR_MS,
        )
        place = min(place, len(events))
        first = UserStore(SMALL)
        first.apply(batch_of(events[:place]))
        waiting = {
            name: first.lookup(f"u:{name}").pending_labels for name in {e.subject[2:] for e in events[:place]}
        }
        second = moved(first, UserStore(other))
        kept = {name: second.lookup(f"u:{name}").pending_labels for name in waiting}
        if interval == 24 and days >= 3:
            assert kept == waiting
        for name, landmarks in waiting.items():
            assert set(kept[name]) <= set(landmarks)
            assert not landmarks or max(landmarks) in kept[name], "the newest stays"
        found = second.apply(batch_of([*events[place:], end], place)).examples
        self.check(found, events, other)
        if interval == 24:  # else a landmark at the new phase may take the slot of one that waits
            churn = found.landmark_ms[found.kind == 0].tolist()
            assert {t for landmarks in kept.values() for t in landmarks} <= set(churn)

    def check(self, found: ExampleBatch, events, asked):
        came = {hash_id(e.subject): [] for e in events}
        for event in events:
            came[hash_id(event.subject)].append(event.time)
        for kind, label, landmark, matured, who in zip(
            found.kind, found.label, found.landmark_ms, found.matured_ms, found.subject, strict=True
        ):
            name = EXAMPLE_KINDS[kind]
            span = asked.horizon_ms if name == "churn" else asked.hazard_step_ms
            back = any(landmark < at <= landmark + span for at in came[int(who)])
            assert label == (back if name == "hazard" else not back)
            assert matured == landmark + span + asked.allowed_lateness_ms

    def test_features_stay_with_their_landmark(self):
        table = Table(landmark_layout(SMALL))
        row, _ = table.intern(["u:a"])
        for day in range(3):
            slot = (START_MS // DAY_MS + day) % SMALL.landmark_slots
            table.rows["landmark_ms"][row, slot] = START_MS + day * DAY_MS
            table.rows["features"][row, slot] = day + 1
        wide = Table(landmark_layout(dataclasses.replace(SMALL, horizon_ms=8 * DAY_MS)))
        wide.restore(table.dirty_rows())
        held = {
            int(t): set(x.tolist())
            for t, x in zip(*wide.rows[["landmark_ms", "features"]][0], strict=True)
            if t
        }
        assert held == {START_MS + day * DAY_MS: {day + 1.0} for day in range(3)}

    def test_a_trainer_that_is_asked_another_question_keeps_its_weights_and_counts_anew(self):
        before = TrainerStore(TrainerSettings(min_labels=5, window=256))
        before.apply(examples(400))
        asked = TrainerSettings(min_labels=5, window=256, horizon_ms=14 * DAY_MS)
        log = []
        after = moved(before, TrainerStore(asked), log)
        x = examples(1, seed=9).features[0]
        assert after.predict_one(0, x) == before.predict_one(0, x)
        assert (after.card()["churn_labels"], after.card()["hazard_labels"]) == (
            0,
            before.card()["hazard_labels"],
        )
        assert "churn_auc" not in after.card()
        assert after.version == before.version
        assert before.current().ready
        assert not after.current().ready
        assert not after.current().answers(28 * DAY_MS)
        [first, *_] = after.apply(examples(100, seed=4)).scorers
        assert first.version == before.version + 1
        assert first.answers(14 * DAY_MS)
        again = moved(after, TrainerStore(asked), log)
        assert again.card() == after.card()


def view(store, item):
    """Return partners and weights of an item, whatever slots they are in."""
    row = store.row_of(hash_id(item))
    used = int(store.rows["used"][row])
    partners, weights = (
        column[0, :used].tolist() for column in store.slots.take(np.array([row]), np.array([used]))
    )
    return {partner: tuple(w) for partner, w in zip(partners, weights, strict=True)}


class TestSlots:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 12))
    def test_the_strongest_partners_stay_and_counts_go_on(self, seed, before, after):
        first = CooccurrenceStore(CooccurrenceSettings(slots=before, published_partners=1))
        touches = random_touches(seed, 120, items=12)
        first.apply(log_of(touches))
        log = []
        second = moved(first, CooccurrenceStore(CooccurrenceSettings(slots=after, published_partners=1)), log)
        assert len(second) == len(first)
        for item in {item for _, item, _ in touches}:
            held, kept = view(first, item), view(second, item)
            assert len(kept) == min(after, len(held))
            assert kept.items() <= held.items()
            gone = [w[FORWARD] + w[BACKWARD] for partner, w in held.items() if partner not in kept]
            assert min((w[FORWARD] + w[BACKWARD] for w in kept.values()), default=0) >= max(gone, default=0)
            assert second.lookup(item).row.touches == first.lookup(item).row.touches
        later = log_of(
            [(s, item, time + 60 * DAY_MS) for s, item, time in random_touches(seed + 1, 60, items=12)]
        )
        second.apply(later)
        whole = moved(second, CooccurrenceStore(second.settings), log)
        for item in {item for _, item, _ in touches}:
            assert len(view(whole, item)) <= after
            assert view(whole, item) == view(second, item)

    def test_with_room_for_all_more_slots_count_as_if_they_had_always_been_there(self):
        touches = random_touches(3, 200, items=6)
        few, many = (CooccurrenceSettings(slots=slots, published_partners=1) for slots in (6, 20))
        batch, rest = log_of(touches[:100]), log_of(touches[100:])
        whole, first = CooccurrenceStore(many), CooccurrenceStore(few)
        first.apply(batch)
        whole.apply(batch)
        second = moved(first, CooccurrenceStore(many))
        second.apply(rest)
        whole.apply(rest)
        for item in {item for _, item, _ in touches}:
            assert view(second, item) == view(whole, item)


class TestHalfLives:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10_000), st.integers(1, 400), st.integers(1, 90))
    def test_counts_are_worth_at_their_latest_update_what_they_were_and_fade_at_the_new_pace(
        self, seed, slow, fast
    ):
        first = CooccurrenceStore(CooccurrenceSettings(slots=4, published_partners=4))
        touches = random_touches(seed, 60, items=8)
        first.apply(log_of(touches))
        asked = CooccurrenceSettings(
            slots=4, published_partners=4, half_life_ms=slow * DAY_MS, lately_half_life_ms=fast * HOUR_MS
        )
        second = moved(first, CooccurrenceStore(asked))
        for item in {item for _, item, _ in touches}:
            before, after = first.lookup(item).row, second.lookup(item).row
            assert after.partner_ids == before.partner_ids
            assert after.popularity == pytest.approx(before.popularity, rel=1e-5)
            assert after.lately == pytest.approx(before.lately, rel=1e-5)
            np.testing.assert_allclose(after.weights, before.weights, rtol=1e-4)
        item, last = touches[-1][1], touches[-1][2]
        known = second.lookup(item).row
        second.apply(log_of([("alone", item, last + 3 * DAY_MS)]))
        faded = 2.0 ** (-(last + 3 * DAY_MS - known.time_ms) / asked.half_life_ms)
        assert second.lookup(item).row.popularity == pytest.approx(1 + known.popularity * faded, rel=1e-5)

    def test_rows_of_other_half_lives_are_of_another_schema(self):
        one, other = CooccurrenceSettings(), CooccurrenceSettings(half_life_ms=DAY_MS)
        assert item_layout(one).schema.fingerprint != item_layout(other).schema.fingerprint
