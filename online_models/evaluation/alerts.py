"""What an alert policy would have done on a log: how often, how rightly, how early, and what it held back."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.churn.alerts import ChurnAlert, WithheldReason
from online_models.churn.settings import DAY_MS
from online_models.errors import InvalidParameterError
from online_models.evaluation.bootstrap import Interval
from online_models.events import SILENT_KINDS, EventBatch

_Z: Final = 1.959964
"""Standard normal quantile of a two-sided interval of 95 %."""


@dataclass(frozen=True, slots=True)
class AlertReport:
    """What a trial found.

    Parameters
    ----------
    days
        Days from the first alert to the end of the log.
    alerts, users
        Alerts, and users who got one.
    judged
        Alerts whose horizon lies within the log; the rest can be neither right nor wrong yet.
    precision
        Share of these after which no activity followed within the horizon, with a Wilson interval of 95 %.
    lead_days
        Of the right ones: median days between the alert and the moment when the silence since the last
        activity had lasted a horizon.
    withheld
        Alerts not sent, by reason.
    expected_value
        Sum over the alerts of what was at stake less costs, in the currency of the events.
    per_day
        Alerts by day, days since the epoch; days without are left out.
    """

    days: float
    alerts: int
    users: int
    judged: int
    precision: Interval
    lead_days: float
    withheld: dict[str, int]
    expected_value: float
    per_day: dict[int, int]


class AlertTrial:
    """Follows a log and the alerts that a policy raised on the way.

    Parameters
    ----------
    horizon_ms
        Silence that makes an alert right.

    Raises
    ------
    InvalidParameterError
        When `horizon_ms` is below 1.
    """

    def __init__(self, horizon_ms: int) -> None:
        if horizon_ms < 1:
            raise InvalidParameterError(f"horizon_ms must be at least 1, got {horizon_ms}")
        self._horizon_ms = horizon_ms
        self._open: dict[str, list[int]] = {}
        self._last_ms: dict[str, int] = {}
        self._alerts: list[ChurnAlert] = []
        self._withheld: Counter[str] = Counter()
        self._right: list[bool] = []
        self._leads: list[float] = []
        self._now_ms = 0

    def observe(self, events: EventBatch) -> None:
        """Take accepted events in log order; activity answers the alerts before it."""
        columns = zip(events.subject, events.kind.tolist(), events.time.tolist(), strict=True)
        for subject, kind, time in columns:
            self._now_ms = max(self._now_ms, time)
            if kind in SILENT_KINDS:
                continue
            for at_ms in [at for at in self._open.get(subject, ()) if at < time]:
                self._open[subject].remove(at_ms)
                self._settle(subject, at_ms, back_ms=time)
            self._last_ms[subject] = max(self._last_ms.get(subject, 0), time)

    def take(self, alerts: Sequence[ChurnAlert], withheld: Mapping[WithheldReason, int]) -> None:
        """Take the alerts of the ticks so far, and how many were not sent."""
        self._withheld.update(withheld)
        for alert in alerts:
            self._alerts.append(alert)
            self._open.setdefault(alert.subject, []).append(alert.at_ms)

    def report(self) -> AlertReport:
        """Return everything found so far; alerts whose horizon has passed unanswered were right."""
        for subject, times in self._open.items():
            for at_ms in [at for at in times if at + self._horizon_ms <= self._now_ms]:
                times.remove(at_ms)
                self._settle(subject, at_ms, back_ms=None)
        first_ms = min((alert.at_ms for alert in self._alerts), default=self._now_ms)
        return AlertReport(
            days=(self._now_ms - first_ms) / DAY_MS,
            alerts=len(self._alerts),
            users=len({alert.subject for alert in self._alerts}),
            judged=len(self._right),
            precision=wilson(sum(self._right), len(self._right)),
            lead_days=float(np.median(self._leads)) if self._leads else math.nan,
            withheld=dict(self._withheld),
            expected_value=math.fsum(alert.expected_value for alert in self._alerts),
            per_day=dict(sorted(Counter(alert.at_ms // DAY_MS for alert in self._alerts).items())),
        )

    def _settle(self, subject: str, at_ms: int, back_ms: int | None) -> None:
        right = back_ms is None or back_ms > at_ms + self._horizon_ms
        self._right.append(right)
        if right:
            self._leads.append((self._last_ms[subject] + self._horizon_ms - at_ms) / DAY_MS)


def wilson(hits: int, cases: int) -> Interval:
    """Return a share with its 95 % interval, which is sound for few cases and extreme shares too [1]_.

    Parameters
    ----------
    hits, cases
        How many of how many.

    Returns
    -------
    Interval
        NaN where there is no case.

    References
    ----------
    .. [1] Wilson, 1927. Probable inference, the law of succession, and statistical inference.

    Examples
    --------
    >>> found = wilson(0, 10)
    >>> found.low, round(found.high, 3)
    (0.0, 0.278)
    """
    if not cases:
        return Interval(math.nan, math.nan, math.nan)
    share, spread = hits / cases, _Z * _Z / cases
    center = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return Interval(share, max(0.0, center - half), min(1.0, center + half))
