"""How early alerts come: the days between an alert and the moment when the silence has lasted the horizon."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.churn.alerts import ChurnAlert
from online_models.evaluation.churn_baselines import ActiveDays
from online_models.events import hash_id

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class AlertLead:
    """What became of alerts.

    Parameters
    ----------
    alerts
        Alerts whose horizon was over by the end of the log.
    precision
        Share of them after which no activity followed within the horizon.
    median_days, tenth_days
        Lead of those: days from the alert until the silence had lasted the horizon, which is when a shop that
        waits would know; half and nine tenths of them had at least so much.
    """

    alerts: int
    precision: float
    median_days: float
    tenth_days: float


class AlertLeads:
    """Collects alerts and judges them once the log is over.

    Parameters
    ----------
    horizon_ms
        Silence that counts as churn, milliseconds.
    """

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._alerts: list[tuple[int, int]] = []

    def add(self, alerts: list[ChurnAlert], from_ms: int) -> None:
        """Take alerts; those before `from_ms` are not judged."""
        self._alerts += [(hash_id(a.subject), a.at_ms) for a in alerts if a.at_ms >= from_ms]

    def report(self, days: ActiveDays, end_ms: int) -> AlertLead:
        """Return what became of the alerts whose horizon lies before `end_ms`, the end of the log."""
        judged = [(user, at) for user, at in self._alerts if at + self._horizon_ms <= end_ms]
        leads = np.array(
            [
                (days.last_until(user, at) + self._horizon_ms - at) / DAY_MS
                for user, at in judged
                if not at < days.first_after(user, at) <= at + self._horizon_ms
            ]
        )
        if not judged:
            return AlertLead(0, float("nan"), float("nan"), float("nan"))
        if not leads.size:
            return AlertLead(len(judged), 0.0, float("nan"), float("nan"))
        median, tenth = np.quantile(leads, [0.5, 0.1]).tolist()
        return AlertLead(len(judged), len(leads) / len(judged), median, tenth)
