"""The trial: which cases count, what is known when, and figures that follow from the definitions."""

import math

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.evaluation.recommendations import (
    LISTS,
    MODEL,
    RecommendationTrial,
    RecommendationTrialSettings,
)
from online_models.events import hash_id
from online_models.pipeline import Pipeline
from tests.online_models.churn.workload import START_MS, Event, batch_of


def visits(*sessions, start=0):
    """Return one visitor a session, all touching a second apart."""
    return [
        Event(f"a:{start + number}", time=START_MS + (start + number) * 60_000 + place * 1000, items=(item,))
        for number, session in enumerate(sessions)
        for place, item in enumerate(session)
    ]


def trial_of(*, learned=(), tested=(), **settings):
    trial = RecommendationTrial(Pipeline(), RecommendationTrialSettings(**settings))
    if learned:
        trial.learn(batch_of(learned))
    if tested:
        trial.test(batch_of(tested, len(learned)))
    return trial.report()


class TestCases:
    def test_a_case_needs_earlier_touches_of_its_session(self):
        tested = visits(["a", "b", "c"], ["a"])
        assert trial_of(tested=tested).counts["cases"] == 2
        assert trial_of(tested=tested, min_history=2).counts["cases"] == 1
        assert trial_of(tested=tested, min_history=0).counts["cases"] == 4

    def test_repeats_count_and_are_told_apart(self):
        counts = trial_of(tested=visits(["a", "b", "a"])).counts
        assert (counts["cases"], counts["new_cases"]) == (2, 1)

    def test_an_item_never_seen_is_a_miss_and_counted(self):
        report = trial_of(learned=visits(["a", "b"]), tested=visits(["a", "b"], ["a", "z"], start=2))
        assert report.never_seen == 0.5
        assert report.quality[MODEL]["hit_rate@20"] == 0.5

    def test_items_of_one_event_are_cases_of_each_other(self):
        basket = [Event("u:1", "purchase", START_MS, ("a", "b", "c"))]
        assert trial_of(tested=basket).counts["cases"] == 2

    def test_refused_events_are_no_cases(self):
        tested = visits(["a", "b"])
        report = trial_of(tested=[*tested, tested[1]._replace(event_id="id-1")])
        assert report.counts["cases"] == 1
        assert report.counts["tested_events"] == 2


class TestBaskets:
    BASKETS = tuple(
        Event(f"u:{n % 3}", "purchase", START_MS + n * 3_600_000, ("a", "b", "c", "d", f"x{n}"))
        for n in range(12)
    )

    def test_a_basket_is_one_case_and_any_item_of_its_rest_is_a_hit(self):
        report = trial_of(learned=self.BASKETS[:9], tested=self.BASKETS[9:], baskets=True)
        assert report.counts["cases"] == 3
        assert report.quality[MODEL]["hit_rate@20"] == 1.0
        assert report.quality["own history"]["hit_rate@20"] == 1.0

    def test_an_event_with_one_item_is_none(self):
        assert trial_of(tested=visits(["a", "b"]), baskets=True).counts["cases"] == 0

    def test_what_is_given_takes_no_place_in_a_list(self):
        report = trial_of(learned=self.BASKETS[:9], tested=self.BASKETS[9:], baskets=True, k=2)
        # Of the four items in every basket at least one is to be found, those given being left out.
        assert report.quality["popularity"]["hit_rate@2"] == 1.0

    def test_nothing_of_a_basket_is_learned_before_it_is_judged(self):
        report = trial_of(tested=self.BASKETS[:1], baskets=True)
        assert all(row["hit_rate@20"] == 0.0 for row in report.quality.values())


class TestLearning:
    def test_each_event_is_predicted_before_it_is_learned(self):
        report = trial_of(tested=visits(["a", "b"], ["a", "b"]))
        for name in (MODEL, "co-occurrence (AR)", "co-occurrence (SR)"):
            assert report.quality[name]["hit_rate@20"] == 0.5
        assert report.never_seen == 0.5

    def test_frozen_nothing_is_learned_but_a_session_grows(self):
        learned = visits(["a", "b"], ["b", "c"])
        tested = visits(["z", "a", "b", "c"], start=2)
        report = trial_of(learned=learned, tested=tested, freeze=True)
        # After z only what is popular can be offered; after a and after b what was learned.
        assert report.quality["co-occurrence (SR)"]["hit_rate@20"] == pytest.approx(2 / 3)
        assert report.quality["popularity"]["hit_rate@20"] == 1.0
        assert report.counts["items"] == 3

    def test_an_item_new_in_the_test_part_stays_unknown_when_frozen(self):
        tested = visits(["a", "z"], ["a", "z"], start=1)
        learned = visits(["a", "b"])
        assert trial_of(learned=learned, tested=tested, freeze=True).never_seen == 1.0
        assert trial_of(learned=learned, tested=tested).never_seen == 0.5

    def test_own_history_reaches_over_sessions(self):
        again = [Event("u:1", time=START_MS + hour * 3_600_000, items=("b",)) for hour in (1, 3)]
        tested = [Event("u:1", time=START_MS, items=("a",)), *again]
        report = trial_of(tested=tested, min_history=0)
        assert report.quality["own history"]["hit_rate@20"] == pytest.approx(1 / 3)

    def test_batches_do_not_matter(self):
        events = visits(*[["a", "b", "c"], ["b", "c"], ["a", "c", "b", "a"]] * 3)
        whole = trial_of(tested=events)
        trial = RecommendationTrial(Pipeline(), RecommendationTrialSettings())
        for place in range(len(events)):
            trial.test(batch_of(events[place : place + 1], place))
        assert trial.report() == whole or str(trial.report()) == str(whole)


class TestReport:
    def test_ranks_give_the_measures_of_their_definition(self):
        report = trial_of(
            learned=visits(["a", "b"], ["a", "b"], ["a", "c"]),
            tested=visits(["a", "c"], start=3),
            freeze=True,
        )
        row = report.quality["co-occurrence (SR)"]
        assert (row["hit_rate@20"], row["mrr@20"], row["mrr@5"]) == (1.0, 0.5, 0.5)
        assert report.quality["popularity"]["mrr@20"] == pytest.approx(1 / 3)

    def test_leads_carry_intervals_around_the_difference(self):
        sessions = [["a", "b"], ["c", "d"], ["e", "f"]] * 10
        report = trial_of(learned=visits(*sessions), tested=visits(*sessions, start=30))
        lead = report.intervals["popularity"]["mrr@20"]
        expected = report.quality[MODEL]["mrr@20"] - report.quality["popularity"]["mrr@20"]
        assert lead.difference == pytest.approx(expected)
        assert lead.low <= lead.difference <= lead.high
        assert lead.low > 0

    def test_lists_and_cutoffs_follow_k(self):
        names = trial_of(tested=visits(["a", "b"]), k=7).quality[MODEL]
        assert {"hit_rate@5", "hit_rate@7", "new_mrr@7"} <= names.keys()
        assert "hit_rate@10" not in names

    def test_diversity_is_known_where_categories_are(self):
        # The workload calls an item's first letter its category.
        report = trial_of(learned=visits(["a1", "a2"], ["a1", "b1"]), tested=visits(["a1", "b1"], start=2))
        assert 0 < report.quality[MODEL]["diversity"] <= 1

    def test_without_a_case_everything_is_undefined(self):
        report = trial_of(learned=visits(["a", "b"]))
        assert math.isnan(report.never_seen)
        assert math.isnan(report.quality[MODEL]["hit_rate@20"])
        assert math.isnan(report.intervals["popularity"]["mrr@20"].low)

    @pytest.mark.parametrize("name", ["k", "min_history", "session_gap_ms"])
    def test_bad_settings_are_named(self, name):
        with pytest.raises(InvalidParameterError, match=f"{name} must be at least"):
            RecommendationTrialSettings(**{name: -1})


class TestModel:
    def test_is_asked_for_a_touch_by_the_session_before_it_and_learns_it_afterwards(self):
        told = []

        class Listening(Pipeline):
            def rank(self, followed, context, k):
                histories = followed.contexts.histories
                length = int(histories.in_session[context])
                told.append(("rank", histories.items[context, :length].tolist()))
                return super().rank(followed, context, k)

            def learn(self, followed, start, stop):
                told.extend(("learn", event) for event in range(start, stop))
                super().learn(followed, start, stop)

        trial = RecommendationTrial(Listening(), RecommendationTrialSettings())
        trial.test(batch_of(visits(["a", "b", "c"])))
        a, b = (hash_id(item) for item in "ab")
        ranked = [("rank", [a]), ("rank", [b, a])]
        assert told == [("learn", 0), ranked[0], ("learn", 1), ranked[1], ("learn", 2)]
        assert np.isfinite(trial.report().quality[MODEL]["mrr@20"])

    def test_ranks_the_next_item_of_a_basket_by_those_before_it(self):
        shown = []

        class Listening(Pipeline):
            def rank(self, followed, context, k):
                shown.append(int(followed.contexts.histories.session_length[context]))
                return super().rank(followed, context, k)

        trial = RecommendationTrial(Listening(), RecommendationTrialSettings())
        trial.test(batch_of([Event("u:1", "purchase", START_MS, ("a", "b", "c"))]))
        assert shown == [1, 2]


def test_lists_that_would_be_shown_are_judged_on_the_same_cases_and_change_nothing_else():
    sessions = visits(*[["a", "b", "c", "d"]] * 30, *[["b", "d", "a", "c"]] * 30)
    plain = trial_of(learned=sessions[:120], tested=[*sessions[120:]])
    with_lists = trial_of(learned=sessions[:120], tested=[*sessions[120:]], lists=True)
    assert {name: row for name, row in with_lists.quality.items() if name != LISTS} == plain.quality
    # What is on the screen is in no list, and otherwise nothing is left out.
    assert 0 < with_lists.quality[LISTS]["hit_rate@20"] <= plain.quality[MODEL]["hit_rate@20"]


class TestCandidateRecall:
    def test_every_source_is_told_by_what_it_offered_and_kept_bounds_the_hit_rate(self):
        report = trial_of(learned=visits(["a", "b"], ["a", "b"]), tested=visits(["a", "b", "a"], start=2))
        recall = report.recall
        assert recall["partners"]["recall"] == 1.0
        assert recall["newest touches"]["recall"] == 0.5, "only the return to a was touched before"
        assert recall["own items"]["alone"] == 0.0
        assert (
            report.quality[MODEL]["hit_rate@20"] <= recall["kept"]["recall"] <= recall["any source"]["recall"]
        )

    def test_what_nobody_touched_before_no_source_offers(self):
        recall = trial_of(tested=visits(["a", "z"])).recall
        assert all(row["recall"] == 0.0 for row in recall.values())

    def test_a_source_alone_is_missed_when_it_is_dropped(self):
        bought = [Event("u:1", "purchase", START_MS, ("mine",))]
        bought += [Event("u:1", time=START_MS + 86_400_000 + n, items=(f"other{n}",)) for n in range(12)]
        crowd = [
            Event(f"a:{n}", time=START_MS + 2 * 86_400_000 + n, items=(f"x{n % 60}",)) for n in range(600)
        ]
        back = [
            Event("u:1", time=START_MS + 3 * 86_400_000 + n * 1_000, items=(item,))
            for n, item in enumerate(("x1", "mine"))
        ]
        recall = trial_of(learned=[*bought, *crowd], tested=back).recall
        assert recall["own items"] == {"recall": 1.0, "alone": 1.0, "offered": 14.0}


class TestColdStart:
    def test_cases_are_told_by_what_was_known_of_user_item_and_shop(self):
        learned = [Event("u:1", time=START_MS, items=("a",)), *visits(*[["a", "b"]] * 6, start=1)]
        tested = [
            Event(user, time=START_MS + (20 + number) * 3_600_000 + place * 1_000, items=(item,))
            for number, (user, last) in enumerate([("u:1", "b"), ("u:2", "b"), ("u:2", "z")])
            for place, item in enumerate(("a", last))
        ]
        cold = trial_of(learned=learned, tested=tested).cold
        cases = {group: rows[MODEL]["cases"] for group, rows in cold.items()}
        assert cases == {
            "user: first session": 1,
            "user: second session": 2,
            "item: never seen": 1,
            "item: 5 touches or more": 2,
            "shop: to 1,000 touches": 3,
        }
        assert cold["item: never seen"][MODEL]["hit_rate"] == 0.0
        assert cold["item: 5 touches or more"][MODEL]["hit_rate"] == 1.0
        assert cold["user: first session"]["popularity"]["mrr"] == 0.5

    def test_groups_by_one_question_add_up_to_all_cases(self):
        report = trial_of(tested=visits(*[["a", "b", "c"], ["b", "c"], ["a", "c", "b", "a"]] * 3))
        for question in ("user", "item", "shop"):
            rows = [row[MODEL] for group, row in report.cold.items() if group.startswith(question)]
            assert sum(row["cases"] for row in rows) == report.counts["cases"]
            hits = sum(row["cases"] * row["hit_rate"] for row in rows)
            expected = report.counts["cases"] * report.quality[MODEL]["hit_rate@20"]
            assert hits == pytest.approx(expected)
