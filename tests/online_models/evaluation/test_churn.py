"""The churn trial: labels only when matured, predictions only from what was known at the landmark."""

import math

import numpy as np
import pytest

from online_models.churn.features import FEATURE_NAMES
from online_models.churn.labels import CHURN, HAZARD, ExampleBatch
from online_models.errors import InvalidParameterError
from online_models.evaluation import classification
from online_models.evaluation.churn import MODEL, WEEK_MS, ChurnTrial, ChurnTrialSettings
from online_models.evaluation.churn_baselines import DAY_MS
from online_models.events import hash_id
from tests.online_models.churn.workload import START_MS, Event, batch_of

HORIZON = 14 * DAY_MS


class Constant:
    """A model that always says the same."""

    def __init__(self, probability):
        self.probability = probability

    def score_many(self, features):
        return np.full(len(features), self.probability)


def examples(labels, landmark_ms, kind=CHURN):
    users = np.array([hash_id(f"u:{user}") for user in range(len(labels))], dtype=np.uint64)
    return ExampleBatch(
        kind=np.full(len(labels), kind, np.int8),
        features=np.zeros((len(labels), len(FEATURE_NAMES)), np.float32),
        label=np.array(labels, np.int8),
        landmark_ms=np.full(len(labels), landmark_ms),
        matured_ms=np.full(len(labels), landmark_ms + HORIZON),
        subject=users,
    )


def trial_of(users=4, **settings):
    trial = ChurnTrial(ChurnTrialSettings(horizon_ms=HORIZON, **settings))
    days = [(day, user) for day in range(0, 60, 3) for user in range(users) if user % 2 or day < 30]
    trial.observe(batch_of([Event(f"u:{user}", time=START_MS + day * DAY_MS) for day, user in days]))
    return trial


class TestTime:
    def test_a_landmark_is_scored_by_the_model_of_its_time(self):
        trial = trial_of(test_from_ms=START_MS)
        first, second = START_MS + 20 * DAY_MS, START_MS + 40 * DAY_MS
        trial.take(examples([], 0), Constant(0.2), START_MS + 10 * DAY_MS)
        trial.take(examples([1, 0], first), Constant(0.8), first + HORIZON)
        trial.take(examples([1, 0], second), Constant(0.9), second + HORIZON)
        expected = np.array([0.2, 0.2, 0.8, 0.8])
        found = trial.report().quality[MODEL]["brier"]
        assert found == pytest.approx(classification.brier(np.array([1, 0, 1, 0]), expected))

    def test_a_model_that_came_at_the_landmark_itself_is_too_late(self):
        trial = trial_of(test_from_ms=START_MS)
        landmark = START_MS + 20 * DAY_MS
        trial.take(examples([], 0), Constant(0.2), landmark - 1)
        trial.take(examples([], 0), Constant(0.9), landmark)
        trial.take(examples([1, 1], landmark), Constant(0.9), landmark + HORIZON)
        assert trial.report().quality[MODEL]["log_loss"] == pytest.approx(-math.log(0.2))

    def test_before_the_first_model_the_base_rate_speaks(self):
        trial = trial_of(test_from_ms=START_MS)
        trial.take(examples([1, 0], START_MS + DAY_MS), None, START_MS + DAY_MS + HORIZON)
        assert trial.report().quality[MODEL] == trial.report().quality["base rate"]

    def test_judging_waits_for_two_horizons_and_a_week(self):
        trial = trial_of()
        start = START_MS + 2 * HORIZON + WEEK_MS
        assert trial.test_from_ms == start
        trial.take(examples([1, 0], start - 1), Constant(0.5), start - 1 + HORIZON)
        trial.take(examples([1, 0], start), Constant(0.5), start + HORIZON)
        counts = trial.report().counts
        assert (counts["labels"], counts["judged"], counts["users_judged"]) == (4, 2, 2)


class TestChallengers:
    def test_each_is_judged_as_of_the_landmark_but_compared_with_nothing(self):
        trial = trial_of(test_from_ms=START_MS)
        landmark = START_MS + 20 * DAY_MS
        trial.take(examples([], 0), Constant(0.2), landmark - 1, {"other": Constant(0.6)})
        trial.take(examples([1, 1], landmark), Constant(0.9), landmark + HORIZON, {"other": Constant(0.9)})
        report = trial.report()
        assert report.quality["other"]["log_loss"] == pytest.approx(-math.log(0.6))
        assert "other" not in report.intervals


class TestCold:
    def test_users_who_never_came_back_are_measured_by_themselves(self):
        trial = trial_of(test_from_ms=START_MS)
        landmark = START_MS + 20 * DAY_MS
        batch = examples([1, 0, 1, 0], landmark)
        batch.features[2:, FEATURE_NAMES.index("has_gap")] = 1
        trial.take(examples([], 0), Constant(0.2), landmark - 1)
        trial.take(batch, Constant(0.2), landmark + HORIZON)
        report = trial.report()
        assert report.cold_labels == 2
        assert report.cold[MODEL]["log_loss"] == pytest.approx(-(math.log(0.2) + math.log(0.8)) / 2)


class TestWeeks:
    def test_losses_are_told_week_by_week(self):
        trial = trial_of(test_from_ms=START_MS)
        trial.take(examples([], 0), Constant(0.2), START_MS)
        for week, label in ((3, 1), (5, 0)):
            landmark = START_MS + week * WEEK_MS
            trial.take(examples([label] * 2, landmark), Constant(0.2), landmark + HORIZON)
        report = trial.report()
        first, between, last = report.weekly_log_loss[MODEL]
        assert (first, last) == (pytest.approx(-math.log(0.2)), pytest.approx(-math.log(0.8)))
        assert math.isnan(between)
        assert report.first_week_ms == (START_MS + 3 * WEEK_MS) // WEEK_MS * WEEK_MS


class TestReport:
    def test_the_short_label_is_not_judged(self):
        trial = trial_of(test_from_ms=START_MS)
        trial.take(examples([1, 0], START_MS + DAY_MS, HAZARD), Constant(0.5), START_MS + 9 * DAY_MS)
        assert trial.report().counts["labels"] == 0

    def test_only_activity_of_known_users_counts(self):
        trial = trial_of(users=2)
        before = trial.report().counts
        rows = [("a:cookie", "view_item"), ("u:1", "intervention_sent"), ("u:1", "refund")]
        trial.observe(batch_of([Event(subject, kind) for subject, kind in rows]))
        assert trial.report().counts == before

    def test_leads_are_positive_where_the_model_is_better(self):
        class Oracle:
            def score_many(self, features):
                return np.tile([0.9, 0.1], len(features) // 2)

        trial = trial_of(users=20, test_from_ms=START_MS)
        trial.take(examples([], 0), Oracle(), START_MS)
        landmark = START_MS + 40 * DAY_MS
        trial.take(examples([1, 0] * 10, landmark), Oracle(), landmark + HORIZON)
        report = trial.report()
        assert report.quality[MODEL]["auc"] == 1.0
        assert report.base_rate == 0.5
        assert report.lift_ceiling == 2.0
        for measure in ("auc", "log_loss", "brier"):
            lead = report.intervals["base rate"][measure]
            assert 0 < lead.low <= lead.difference <= lead.high

    def test_nothing_judged_is_undefined_and_no_error(self):
        report = ChurnTrial(ChurnTrialSettings(horizon_ms=HORIZON)).report()
        assert report.test_from_ms == 0
        assert math.isnan(report.base_rate)
        assert math.isnan(report.quality[MODEL]["auc"])

    @pytest.mark.parametrize("name", ["horizon_ms", "budget"])
    def test_bad_settings_are_named(self, name):
        with pytest.raises(InvalidParameterError, match=f"{name} must be at least 1, got 0"):
            ChurnTrialSettings(**{"horizon_ms": HORIZON} | {name: 0})
