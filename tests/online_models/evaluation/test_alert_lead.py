"""Alerts are judged by what followed, and only once their horizon is over."""

import math

import pytest

from online_models.churn.alerts import ChurnAlert
from online_models.churn.reasons import Explanation
from online_models.evaluation.alert_lead import AlertLeads
from online_models.evaluation.churn_baselines import DAY_MS, ActiveDays
from online_models.events import hash_id

HORIZON = 14 * DAY_MS


def alert(user, day):
    return ChurnAlert(f"u:{user}", day * DAY_MS, 0.8, 0.7, Explanation(), "win_back_message", 1)


def active(**days):
    found = ActiveDays()
    for user, known in days.items():
        for day in known:
            found.add(hash_id(f"u:{user}"), day * DAY_MS)
    return found


def test_lead_counts_from_the_alert_to_the_end_of_the_silence_that_defines_churn():
    leads = AlertLeads(HORIZON)
    leads.add([alert("gone", 10), alert("back", 10)], from_ms=0)
    found = leads.report(active(gone=[0, 6], back=[0, 6, 20]), end_ms=60 * DAY_MS)
    assert (found.alerts, found.precision) == (2, 0.5)
    assert found.median_days == pytest.approx(10), "six plus fourteen, less ten"


def test_alerts_before_the_test_and_those_whose_horizon_is_not_over_are_left_out():
    leads = AlertLeads(HORIZON)
    leads.add([alert("gone", 3)], from_ms=5 * DAY_MS)
    leads.add([alert("gone", 50)], from_ms=5 * DAY_MS)
    found = leads.report(active(gone=[0]), end_ms=60 * DAY_MS)
    assert found.alerts == 0
    assert math.isnan(found.precision)


def test_where_all_came_back_there_is_no_lead():
    leads = AlertLeads(HORIZON)
    leads.add([alert("back", 3)], from_ms=0)
    found = leads.report(active(back=[0, 4]), end_ms=60 * DAY_MS)
    assert found.precision == 0
    assert math.isnan(found.median_days)
