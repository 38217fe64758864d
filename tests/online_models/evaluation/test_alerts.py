import math

import pytest

from online_models.churn.alerts import ChurnAlert
from online_models.churn.settings import DAY_MS
from online_models.errors import InvalidParameterError
from online_models.evaluation.alerts import AlertTrial, wilson
from tests.online_models.churn.workload import START_MS, Event, batch_of


def alert(user, day, value=1.5):
    return ChurnAlert(user, START_MS + day * DAY_MS, 0.9, 0.5, (), "win_back_message", 1, value)


def trial_of(events, alerts, horizon_days=7):
    """Return a trial that has seen days of activity and alerts, in order of time."""
    trial = AlertTrial(horizon_days * DAY_MS)
    steps = [(day, 0, user) for user, day in events] + [(day, 1, user) for user, day in alerts]
    for day, is_alert, user in sorted(steps):
        if is_alert:
            trial.take([alert(user, day)], {"budget": 1})
        else:
            trial.observe(batch_of([Event(user, time=START_MS + int(day * DAY_MS))]))
    return trial.report()


class TestTrial:
    def test_silence_for_a_horizon_makes_an_alert_right_and_activity_within_it_wrong(self):
        report = trial_of([("u:a", 0), ("u:b", 0), ("u:b", 6), ("u:c", 20)], [("u:a", 4), ("u:b", 4)])
        assert (report.alerts, report.users, report.judged) == (2, 2, 2)
        assert report.precision.difference == 0.5
        # The silence of u:a lasts a horizon on day 7, three days after the alert.
        assert report.lead_days == 3.0
        assert report.withheld == {"budget": 2}
        assert report.expected_value == 3.0

    def test_a_return_after_the_horizon_changes_nothing(self):
        report = trial_of([("u:a", 0), ("u:a", 12)], [("u:a", 4)])
        assert (report.precision.difference, report.judged) == (1.0, 1)

    def test_an_alert_whose_horizon_has_not_passed_is_not_judged(self):
        report = trial_of([("u:a", 0), ("u:b", 10)], [("u:a", 4)])
        assert report.judged == 0
        assert math.isnan(report.precision.difference)
        assert math.isnan(report.lead_days)

    def test_days_are_counted_apart(self):
        report = trial_of(
            [("u:a", 0), ("u:b", 0), ("u:c", 0), ("u:c", 9)], [("u:a", 1), ("u:b", 1), ("u:c", 3)]
        )
        assert list(report.per_day.values()) == [2, 1]
        assert report.days == 8.0

    def test_a_horizon_is_positive(self):
        with pytest.raises(InvalidParameterError, match="horizon_ms must be at least 1, got 0"):
            AlertTrial(0)


def test_wilson_agrees_with_a_published_example():
    """Newcombe 1998, table I: 81 of 263 gives .2553 to .3662."""
    found = wilson(81, 263)
    assert found.low == pytest.approx(0.2553, abs=1e-4)
    assert found.high == pytest.approx(0.3662, abs=1e-4)
