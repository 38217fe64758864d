"""Simple churn rules over the users' active days: what the model must beat on the same landmarks.

Each answers for a landmark with what was known then: labels and activity from before it, nothing later.

References
----------
.. [1] Fader, Hardie, Lee, 2005. "Counting your customers" the easy way (BG/NBD).
.. [2] Platt, 1999. Probabilistic outputs for support vector machines (a curve from score to probability).
"""

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import ClassVar, Final

import numpy as np
from scipy.special import expit

from online_models.evaluation.as_of import AsOf
from online_models.evaluation.bgnbd import BgNbd, Histories
from online_models.evaluation.classification import Labels
from online_models.events import Floats, Int64s, UInt64s

DAY_MS: Final = 86_400_000
REFIT_MS: Final = 7 * DAY_MS


class ActiveDays:
    """When each user was active: every time, and the first of each day (UTC).

    Examples
    --------
    >>> days = ActiveDays()
    >>> for time in (1_000, 2_000, 3 * DAY_MS):
    ...     days.add(7, time)
    >>> days.last_until(7, 2 * DAY_MS), days.last_until(7, 4 * DAY_MS)
    (2000, 259200000)
    """

    def __init__(self) -> None:
        self._times: dict[int, array[int]] = {}
        self._days: dict[int, array[int]] = {}

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self._times)

    def add(self, user: int, time: int) -> None:
        """Take an activity at `time`, epoch milliseconds; late ones are put where they belong."""
        times = self._times.setdefault(user, array("q"))
        days = self._days.setdefault(user, array("q"))
        if not times or time >= times[-1]:
            times.append(time)
        else:
            times.insert(bisect_right(times, time), time)
        day = time // DAY_MS
        place = bisect_left(days, day)
        if place == len(days) or days[place] != day:
            days.insert(place, day)

    def last_until(self, user: int, time: int) -> int:
        """Return the user's last activity at or before `time`; the first of all where there is none."""
        times = self._times[user]
        return times[max(0, bisect_right(times, time) - 1)]

    def first_after(self, user: int, time: int) -> int:
        """Return the user's first activity after `time`, -1 where there is none."""
        times = self._times[user]
        place = bisect_right(times, time)
        return times[place] if place < len(times) else -1

    def histories(self, users: Iterable[int], times: Iterable[int]) -> Histories:
        """Return for each user, as seen at the time, the history that BG/NBD asks for, in days."""
        rows = []
        for user, time in zip(users, times, strict=True):
            days, today = self._days[user], time // DAY_MS
            # Not `today`: within a day nothing may tell that the user comes later on that day.
            seen = bisect_right(days, self.last_until(user, time) // DAY_MS)
            rows.append((seen - 1, days[seen - 1] - days[0], max(today, days[seen - 1]) - days[0]))
        columns = np.array(rows, dtype=np.float64).reshape(-1, 3)
        return Histories(columns[:, 0], columns[:, 1], columns[:, 2])

    def everyone(self, time: int) -> Histories:
        """Return the history of every user first seen before `time`."""
        users = [user for user, times in self._times.items() if times[0] < time]
        return self.histories(users, [time] * len(users))


class ChurnBaseline(ABC):
    """A rule that gives a user's probability of churn at a landmark, with what was known then."""

    name: ClassVar[str]

    @abstractmethod
    def learn(self, users: UInt64s, landmarks: Int64s, labels: Labels, now_ms: int) -> None:
        """Take labels that are known from `now_ms` on."""

    @abstractmethod
    def predict(self, users: UInt64s, landmarks: Int64s) -> Floats:
        """Return (n,) probabilities as they would have been given at the landmarks."""


class BaseRate(ChurnBaseline):
    """The share of churns among all labels known."""

    name = "base rate"

    def __init__(self) -> None:
        self._counts = AsOf((0.5, 1))

    def learn(self, users: UInt64s, landmarks: Int64s, labels: Labels, now_ms: int) -> None:  # noqa: ARG002  # alike for everyone
        """Count the labels."""
        churns, count = self._counts.latest
        self._counts.set(now_ms, (churns + int(np.count_nonzero(labels)), count + len(labels)))

    def predict(self, users: UInt64s, landmarks: Int64s) -> Floats:  # noqa: ARG002  # alike for everyone
        """Return the share known at each landmark."""
        counts = [self._counts.before(time) for time in landmarks.tolist()]
        return np.array([churns / count for churns, count in counts])


class Recency(ChurnBaseline):
    """The longer quiet, the likelier gone: a logistic curve over the logarithm of the days since [2]_.

    The curve is fitted to all labels known, anew for every day that brings some.

    Parameters
    ----------
    days
        Who was active when.
    """

    name = "recency"

    def __init__(self, days: ActiveDays) -> None:
        self._days = days
        self._labels = np.zeros((0, 2))
        self._curve = AsOf((0.0, 0.0))
        self._fitted_ms = -DAY_MS

    def learn(self, users: UInt64s, landmarks: Int64s, labels: Labels, now_ms: int) -> None:
        """Count the labels by day of silence, and fit the curve once a day."""
        quiet = self._quiet(users, landmarks).astype(np.int64)
        more = int(quiet.max(initial=-1)) + 1 - len(self._labels)
        if more > 0:
            self._labels = np.concatenate((self._labels, np.zeros((more, 2))))
        np.add.at(self._labels, (quiet, np.asarray(labels).astype(np.int64)), 1.0)
        if now_ms - self._fitted_ms >= DAY_MS:
            self._fitted_ms = now_ms
            self._curve.set(now_ms, _fit_curve(self._labels, self._curve.latest))

    def predict(self, users: UInt64s, landmarks: Int64s) -> Floats:
        """Return the curve of each landmark's time at the user's recency."""
        curves = np.array([self._curve.before(time) for time in landmarks.tolist()]).reshape(-1, 2)
        return np.asarray(expit(curves[:, 0] * np.log1p(self._quiet(users, landmarks)) + curves[:, 1]))

    def _quiet(self, users: UInt64s, landmarks: Int64s) -> Floats:
        pairs = zip(users.tolist(), landmarks.tolist(), strict=True)
        quiet = [time - self._days.last_until(user, time) for user, time in pairs]
        return np.array(quiet, dtype=np.float64) / DAY_MS


def _fit_curve(labels: Floats, start: tuple[float, float], steps: int = 8) -> tuple[float, float]:
    """Return slope and constant over log1p(days) of greatest likelihood, by Newton steps with a weak prior.

    Parameters
    ----------
    labels
        (d, 2) labels 0 and 1 by whole days of silence.
    start
        Where to begin.
    """
    counts = labels.sum(axis=1)
    design = np.stack([np.log1p(np.arange(len(labels)) + 0.5), np.ones(len(labels))], axis=1)
    point = np.array(start)
    for _ in range(steps):
        chance = expit(design @ point)
        gradient = design.T @ (labels[:, 1] - counts * chance) - point
        curvature = (design.T * (counts * chance * (1 - chance))) @ design + np.eye(2)
        point = point + np.clip(np.linalg.solve(curvature, gradient), -2.0, 2.0)
    return float(point[0]), float(point[1])


class BgNbdSilence(ChurnBaseline):
    """BG/NBD's probability of no activity within the horizon [1]_, refitted every week on all users.

    Parameters
    ----------
    days
        Who was active when.
    horizon_ms
        How long a silence counts as churn, milliseconds.
    """

    name = "BG/NBD P(0 in H)"

    def __init__(self, days: ActiveDays, horizon_ms: int) -> None:
        self._days = days
        self._horizon_days = horizon_ms / DAY_MS
        self._fits: list[tuple[int, BgNbd]] = []

    def learn(self, users: UInt64s, landmarks: Int64s, labels: Labels, now_ms: int) -> None:
        """Need no labels: the activity is enough."""

    def predict(self, users: UInt64s, landmarks: Int64s) -> Floats:
        """Return P(0 in H) under the fit that was the latest at each landmark."""
        histories = self._days.histories(users.tolist(), landmarks.tolist())
        found = np.full(len(users), np.nan)
        epochs = landmarks // REFIT_MS
        for epoch in np.unique(epochs).tolist():
            rows = epochs == epoch
            part = Histories(histories.frequency[rows], histories.recency[rows], histories.age[rows])
            found[rows] = self._fit(epoch * REFIT_MS).probability_of_silence(part, self._horizon_days)
        return found

    def _fit(self, time: int) -> BgNbd:
        """Return the model fitted to what was known at `time`; fits are made once, in order."""
        place = bisect_left(self._fits, time, key=lambda fit: fit[0])
        if place < len(self._fits) and self._fits[place][0] == time:
            return self._fits[place][1]
        histories = self._days.everyone(time)
        start = self._fits[-1][1] if self._fits else None
        fitted = BgNbd.fit(histories, start) if len(histories.age) else BgNbd(1.0, 30.0, 1.0, 1.0)
        self._fits.insert(place, (time, fitted))
        return fitted
