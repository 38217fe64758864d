"""The stores in one process: nothing is late, nothing too early, and batches do not matter."""

import numpy as np
from hypothesis import given, settings

from online_models.churn.labels import ExampleBatch
from online_models.churn.settings import DAY_MS, HOUR_MS
from online_models.churn.trainer import TrainerSettings
from online_models.evaluation.cases import SessionFollower
from online_models.events import hash_id
from online_models.pipeline import Pipeline, PipelineSettings
from tests.online_models.churn.workload import SMALL, START_MS, Event, batch_of, cut, event_logs


def pipeline():
    return Pipeline(PipelineSettings(users=SMALL, trainer=TrainerSettings(min_labels=2)))


def apply_all(events, size):
    """Return a pipeline that has taken the log in batches of a size, and the steps."""
    made = pipeline()
    return made, [step for batch in cut(events, size) for step in made.apply(batch)]


def known_pairs(made):
    """Return every item's touches and partners with their weights."""
    rows = made.items.rows[: made.items.size]
    partners, weights = made.items.slots.take(np.arange(rows.size), rows["used"].copy())
    return {
        int(row["hash"]): (
            int(row["touches"]),
            {int(p): w.round(4).tolist() for p, w in zip(*pairs, strict=True) if p},
        )
        for row, *pairs in zip(rows, partners, weights, strict=True)
    }


def spoken(batch):
    """Return touches and pairs with hashes instead of indices."""
    touches = zip(batch.hashes[batch.touch_item].tolist(), batch.touch_time.tolist(), strict=True)
    owner, partner = batch.hashes[batch.owner].tolist(), batch.hashes[batch.partner].tolist()
    return list(touches), list(zip(owner, partner, batch.distance.tolist(), batch.time.tolist(), strict=True))


class TestBatches:
    @settings(max_examples=30, deadline=None)
    @given(event_logs)
    def test_one_event_at_a_time_or_all_at_once_gives_the_same(self, events):
        one, steps_of_one = apply_all(events, 1)
        every, steps = apply_all(events, len(events))
        assert known_pairs(one) == known_pairs(every)
        assert (one.scorer is None) == (every.scorer is None)
        if one.scorer is not None:
            assert one.scorer.weights.tolist() == every.scorer.weights.tolist()
        scores = [score for step in steps_of_one for score in step.effects.scores]
        assert scores == [score for step in steps for score in step.effects.scores]

    @settings(max_examples=30, deadline=None)
    @given(event_logs)
    def test_ticks_run_as_in_a_store_fed_alone(self, events):
        _, steps = apply_all(events, len(events))
        alone = type(pipeline().users)(SMALL).apply(batch_of(events))
        examples = ExampleBatch.concat([step.effects.examples for step in steps])
        assert examples.pack() == alone.examples.pack()


class TestFollow:
    @settings(max_examples=60, deadline=None)
    @given(event_logs)
    def test_the_pieces_of_the_events_make_up_the_whole(self, events):
        followed = pipeline().follow(batch_of(events))
        count = len(followed.accepted)
        pieces = [spoken(followed.pairs_of(place, place + 1)) for place in range(count)]
        touches, pairs = spoken(followed.pairs)
        assert [touch for piece in pieces for touch in piece[0]] == touches
        assert [pair for piece in pieces for pair in piece[1]] == pairs

    @settings(max_examples=60, deadline=None)
    @given(event_logs)
    def test_no_event_is_given_pairs_before_it_has_happened(self, events):
        together = pipeline().follow(batch_of(events))
        alone = pipeline()
        done: list[tuple] = []
        early: list[tuple] = []
        taken = 0
        for place, batch in enumerate(cut(events, 1)):
            followed = alone.follow(batch)
            if not len(followed.accepted):
                continue
            assert together.accepted[taken] == place
            done += spoken(followed.pairs)[1]
            early += spoken(together.pairs_of(taken, taken + 1))[1]
            taken += 1
            assert early == done[: len(early)]
        assert early == done

    def test_items_learn_only_when_told(self):
        made = pipeline()
        followed = made.follow(batch_of([Event("u:ann", items=("a1",)), Event("u:ann", items=("b1",))]))
        assert len(made.items) == 0
        made.learn(followed, 0, 1)
        made.settle()
        assert made.items.lookup("a1").row.touches == 1
        assert made.items.lookup("b1") is None

    @settings(max_examples=40, deadline=None)
    @given(event_logs)
    def test_the_judges_sessions_are_those_of_the_store(self, events):
        made, judge = pipeline(), SessionFollower(SMALL.session_gap_ms)
        for batch in cut([event for event in events if event.kind != "user_erased"], 1):
            followed = made.follow(batch)
            last = None
            for touch in judge.touches(batch.take(followed.accepted)):
                last = touch
                known = made.users.histories([touch.subject])
            # A late touch of a past session joins none.
            if last is not None and known.in_session[0]:
                width = int(known.in_session[0])
                assert known.items[0, :width].tolist() == last.earlier[: -width - 1 : -1]
                assert int(known.session_length[0]) == len(last.earlier)


class TestLists:
    def test_a_visitor_is_offered_what_others_touched_next(self):
        made = pipeline()
        made.apply(batch_of([Event(f"a:{n}", items=(item,)) for n in range(5) for item in ("a1", "b1")]))
        followed = made.follow(
            batch_of([Event("a:new", items=("a1",), event_id=f"n{n}") for n in range(2)], 90)
        )
        ranked = made.rank(followed, 1, 3)
        assert hash_id("b1") in ranked.tolist()
        assert ranked.shape == (3,)
        assert ranked[2] == 0
        made.apply(batch_of([Event("u:new", time=START_MS + 1, items=("a1",))], 100))
        assert "b1" in made.recommend(["u:new"], START_MS + 1, 5).items[0]

    def test_before_any_event_there_is_nothing_to_offer(self):
        made = pipeline()
        followed = made.follow(batch_of([Event("u:new", items=("a1",))]))
        assert made.rank(followed, 0, 3).tolist() == [0, 0, 0]


class TestContexts:
    @settings(max_examples=30, deadline=None)
    @given(event_logs)
    def test_they_are_what_was_known_just_before_wherever_batches_are_cut(self, events):
        told = []
        for size in (1, 7, len(events)):
            made, found = pipeline(), []
            for batch in cut(events, size):
                followed = made.follow(batch)
                if followed.contexts is not None:
                    known = followed.contexts.histories
                    own = known.own.widened(SMALL.own_items)
                    columns = (followed.contexts.item, known.items, known.in_session, known.session_length)
                    columns += (known.in_event,)
                    found += zip(*(column.tolist() for column in (*columns, *own)), strict=True)
            told.append(found)
        assert told[0] == told[1] == told[2]

    @settings(max_examples=30, deadline=None)
    @given(event_logs)
    def test_the_network_learns_the_same_wherever_batches_are_cut(self, events):
        weights = []
        for size in (1, len(events)):
            made = pipeline()
            for batch in cut(events, size):
                followed = made.follow(batch)
                made.learn(followed, 0, len(followed.accepted))
            made.settle()
            weights.append([part.tolist() for part in made.ranker.network.layers])
        assert weights[0] == weights[1]

    def test_a_touch_is_found_by_its_event_and_place(self):
        made = pipeline()
        followed = made.follow(
            batch_of([Event("u:a", items=("x1", "x2")), Event("u:b", items=("x3",), time=START_MS + 1)])
        )
        assert [followed.context_at(*touch) for touch in ((0, 0), (0, 1), (1, 0))] == [0, 1, 2]
        assert followed.contexts.histories.items[1, 0] == hash_id("x1")
        assert followed.contexts.histories.in_event.tolist() == [0, 1, 0]
        assert list(followed.contexts_of(1, 2)) == [2]


class TestChurn:
    def test_labels_that_mature_are_learned_before_the_next_tick(self):
        made = pipeline()
        days = [day for day in range(20) if day % 5 < 2]
        events = [
            Event(f"u:{user}", time=START_MS + day * DAY_MS + user * HOUR_MS, items=("a1",))
            for day in days
            for user in range(8)
            if user % 2 or day < 7
        ]
        versions = {
            score.model_version
            for batch in cut(events, 500)
            for step in made.apply(batch)
            for score in step.effects.scores
        }
        assert made.scorer is not None
        assert made.scorer.ready
        assert made.trainer.card()["churn_labels"] > 20
        assert max(versions) > 0
