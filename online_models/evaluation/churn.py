"""Judging churn scores: each landmark's probability, as given then, against the label that matured later.

A label is known a horizon after its landmark, never earlier; the model and the baselines predict with what
they had learned before the landmark, from labels matured by then (prequential evaluation with verification
latency [1]_).

References
----------
.. [1] Grzenda, Gomes, Bifet, 2020. Delayed labelling evaluation for data streams.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from online_models.churn.alerts import ChurnAlert
from online_models.churn.features import FEATURE_NAMES
from online_models.churn.labels import CHURN, ExampleBatch
from online_models.errors import InvalidParameterError
from online_models.evaluation import classification
from online_models.evaluation.alert_lead import AlertLead, AlertLeads
from online_models.evaluation.as_of import AsOf
from online_models.evaluation.bootstrap import Draws, Interval, interval_of_aucs, interval_of_means
from online_models.evaluation.churn_baselines import (
    DAY_MS,
    ActiveDays,
    BaseRate,
    BgNbdSilence,
    ChurnBaseline,
    Recency,
)
from online_models.evaluation.churn_boosting import NAME as BOOSTING
from online_models.evaluation.churn_boosting import WeeklyBoosting
from online_models.evaluation.reaction import Reaction, reaction
from online_models.events import SILENT_KINDS, EventBatch, Floats, Int8s, Int64s, UInt64s, hash_id

MODEL: Final = "keepstream"
UNMOVED: Final = "without reaction"
"""The rival that learns the same labels but does not react to drift."""
WEEK_MS: Final = 7 * DAY_MS
_USER: Final = "u:"
_CAME_BACK: Final = FEATURE_NAMES.index("has_gap")


class Scorer(Protocol):
    """A frozen model."""

    def score_many(self, features: Any) -> Floats:
        """Return (n,) probabilities of churn for (n, F) features."""


@dataclass(frozen=True, slots=True)
class ChurnTrialSettings:
    """How churn scores are judged.

    Parameters
    ----------
    horizon_ms
        Silence that counts as churn, milliseconds.
    test_from_ms
        Landmarks from here on are judged; None waits for two horizons and a week after the first activity.
    budget
        How many users could be treated in a week, for the precision at budget.
    draws
        How intervals are resampled, over users.
    lightgbm
        Whether LightGBM, refitted weekly, is among the baselines; it takes longer than all the rest.
    change_ms
        When the world changed, epoch milliseconds: the excess loss from then on is told, beside that of the
        challenger `UNMOVED`; None for no such question.

    Raises
    ------
    InvalidParameterError
        If a number is out of range.
    """

    horizon_ms: int
    test_from_ms: int | None = None
    budget: int = 100
    draws: Draws = field(default_factory=lambda: Draws(count=200))
    lightgbm: bool = False
    change_ms: int | None = None

    def __post_init__(self) -> None:
        for name in ("horizon_ms", "budget"):
            if getattr(self, name) < 1:
                raise InvalidParameterError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class ChurnReport:
    """What a trial found.

    Parameters
    ----------
    counts
        Activities, users, labels learned and judged, users judged.
    test_from_ms
        First landmark that could be judged, epoch milliseconds; 0 if there was no activity.
    base_rate, lift_ceiling
        Share of churns among the judged labels, and the highest top-decile lift they allow.
    quality
        Measures by rule and name.
    intervals
        By baseline and measure: the model's lead with its bounds, positive where the model is better.
    cold
        Measures by rule and name over the landmarks of users who had never come back by then.
    cold_labels
        How many these are.
    alert_lead
        How early alerts came.
    weekly_log_loss
        By rule: mean log loss of the landmarks of each week, `nan` where there are none.
    first_week_ms
        Begin of the first of these weeks, epoch milliseconds.
    reaction
        What the change cost, with and without a reaction; None where none was asked about.
    """

    counts: dict[str, int]
    test_from_ms: int
    base_rate: float
    lift_ceiling: float
    quality: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Interval]]
    cold: dict[str, dict[str, float]]
    cold_labels: int
    alert_lead: AlertLead
    weekly_log_loss: dict[str, list[float]]
    first_week_ms: int
    reaction: Reaction | None = None


class ChurnTrial:
    """Collects predictions for landmarks and judges them by the labels.

    Parameters
    ----------
    settings
        How to judge.
    """

    def __init__(self, settings: ChurnTrialSettings) -> None:
        self.settings = settings
        self._days = ActiveDays()
        self._scorers: AsOf[Scorer | None] = AsOf(None)
        self._rate = BaseRate()
        self._baselines: list[ChurnBaseline] = [
            self._rate,
            Recency(self._days),
            BgNbdSilence(self._days, settings.horizon_ms),
        ]
        self._boosting = WeeklyBoosting() if settings.lightgbm else None
        self._challengers: AsOf[Mapping[str, Scorer]] = AsOf({})
        self._leads = AlertLeads(settings.horizon_ms)
        self._first_ms = self._last_ms = -1
        self._counts = {"activities": 0, "labels": 0}
        self._judged = _Judged([], [], [], [])
        self._predicted: dict[str, list[Floats]] = {}

    @property
    def _rivals(self) -> list[str]:
        return [*(baseline.name for baseline in self._baselines), *([BOOSTING] if self._boosting else [])]

    @property
    def test_from_ms(self) -> int:
        """First landmark that is judged, epoch milliseconds."""
        if self.settings.test_from_ms is not None:
            return self.settings.test_from_ms
        return self._first_ms + 2 * self.settings.horizon_ms + WEEK_MS if self._first_ms >= 0 else 0

    def observe(self, events: EventBatch) -> None:
        """Take accepted events: the activity that the baselines go by."""
        for subject, kind, time in zip(
            events.subject, events.kind.tolist(), events.time.tolist(), strict=True
        ):
            if kind in SILENT_KINDS or not subject.startswith(_USER):
                continue
            self._first_ms = time if self._first_ms < 0 else min(self._first_ms, time)
            self._last_ms = max(self._last_ms, time)
            self._days.add(hash_id(subject), time)
            self._counts["activities"] += 1

    def warn(self, alerts: list[ChurnAlert]) -> None:
        """Take alerts that were sent."""
        self._leads.add(alerts, self.test_from_ms)

    def take(
        self,
        examples: ExampleBatch,
        scorer: Scorer | None,
        now_ms: int,
        challengers: Mapping[str, Scorer] | None = None,
    ) -> None:
        """Take labels that matured, and the models after they have learned them.

        Parameters
        ----------
        examples
            Matured examples; those of other kinds are passed over.
        scorer
            The model from now on, None where there is none yet.
        now_ms
            Time of the tick at which they matured, epoch milliseconds.
        challengers
            Models beside it by name, judged but in no comparison; always the same names.
        """
        churn = _only(examples, examples.kind == CHURN)
        due = _only(churn, churn.landmark_ms >= self.test_from_ms)
        if len(due):
            self._judge(due)
        if len(churn):
            self._counts["labels"] += len(churn)
            for baseline in self._baselines:
                baseline.learn(churn.subject, churn.landmark_ms, churn.label, now_ms)
            if self._boosting:
                self._boosting.learn(churn, now_ms)
        if scorer is not self._scorers.latest:
            self._scorers.set(now_ms, scorer)
            self._challengers.set(now_ms, challengers or {})
            asked_ms = now_ms - self.settings.horizon_ms - WEEK_MS
            self._scorers.forget_before(asked_ms)
            self._challengers.forget_before(asked_ms)

    def _judge(self, due: ExampleBatch) -> None:
        self._judged.add(due)
        found = {MODEL: self._scores(due, self._scorers.before)}
        for name in self._challengers.latest:
            found[name] = self._scores(due, partial(self._challenger, name))
        for baseline in self._baselines:
            found[baseline.name] = baseline.predict(due.subject, due.landmark_ms)
        if self._boosting:
            found[BOOSTING] = self._boosting.predict(due)
        for name, scores in found.items():
            self._predicted.setdefault(name, []).append(scores)

    def report(self) -> ChurnReport:
        """Return everything found so far."""
        label, landmark_ms, subject, cold = self._judged.columns()
        predicted = {name: np.concatenate(parts) for name, parts in self._predicted.items()}
        for name in (MODEL, *self._rivals):
            predicted.setdefault(name, np.zeros(0))
        distinct, users = np.unique(subject, return_inverse=True)
        counts = {"judged": len(label), "users_judged": len(distinct), "users": len(self._days)}
        return ChurnReport(
            counts=self._counts | counts,
            test_from_ms=self.test_from_ms,
            base_rate=float(label.mean()) if len(label) else float("nan"),
            lift_ceiling=classification.lift_ceiling(label),
            quality={name: self._quality(label, landmark_ms, scores) for name, scores in predicted.items()},
            intervals={
                name: self._lead(label, predicted[MODEL], predicted[name], users) for name in self._rivals
            },
            cold={
                name: self._quality(label[cold], landmark_ms[cold], scores[cold])
                for name, scores in predicted.items()
            },
            cold_labels=int(cold.sum()),
            alert_lead=self._leads.report(self._days, self._last_ms),
            weekly_log_loss={
                name: _by_week(landmark_ms, classification.log_losses(label, scores))
                for name, scores in predicted.items()
            },
            first_week_ms=int(landmark_ms.min(initial=self._last_ms)) // WEEK_MS * WEEK_MS,
            reaction=self._reaction(label, landmark_ms, predicted),
        )

    def _reaction(
        self, label: Int8s, landmark_ms: Int64s, predicted: Mapping[str, Floats]
    ) -> Reaction | None:
        if self.settings.change_ms is None:
            return None
        rules = {name: predicted[name] for name in (MODEL, UNMOVED) if name in predicted}
        return reaction(label, landmark_ms, rules, self.settings.change_ms)

    def _scores(self, due: ExampleBatch, model_at: Callable[[int], Scorer | None]) -> Floats:
        """Score each landmark by the model of its time; by the base rate where there was none."""
        scores = self._rate.predict(due.subject, due.landmark_ms)
        for landmark in np.unique(due.landmark_ms).tolist():
            scorer = model_at(landmark)
            if scorer is not None:
                rows = np.flatnonzero(due.landmark_ms == landmark)
                scores[rows] = scorer.score_many(due.features[rows])
        return scores

    def _challenger(self, name: str, time_ms: int) -> Scorer | None:
        return self._challengers.before(time_ms).get(name)

    def _quality(self, label: Int8s, landmark_ms: Int64s, scores: Floats) -> dict[str, float]:
        weeks = landmark_ms // WEEK_MS
        return {
            "auc": classification.auc(label, scores),
            "log_loss": classification.log_loss(label, scores),
            "brier": classification.brier(label, scores),
            "calibration_error": classification.calibration_error(label, scores),
            "top_decile_lift": classification.top_decile_lift(label, scores),
            "precision_at_budget": classification.precision_at_budget(
                label, scores, weeks, self.settings.budget
            ),
        }

    def _lead(self, label: Int8s, ours: Floats, theirs: Floats, users: Int64s) -> dict[str, Interval]:
        draws = self.settings.draws
        losses: list[tuple[str, Callable[[Int8s, Floats], Floats]]] = [
            ("log_loss", classification.log_losses),
            ("brier", lambda outcome, scores: (scores - outcome) ** 2),
        ]
        leads = {"auc": interval_of_aucs(label, ours, theirs, users, draws)}
        for name, loss in losses:
            leads[name] = interval_of_means(loss(label, theirs), loss(label, ours), users, draws)
        return leads


@dataclass(frozen=True, slots=True)
class _Judged:
    """Columns of the judged labels, in the order in which they matured."""

    label: list[Int8s]
    landmark_ms: list[Int64s]
    subject: list[UInt64s]
    cold: list[npt.NDArray[np.bool_]]

    def add(self, due: ExampleBatch) -> None:
        self.label.append(due.label)
        self.landmark_ms.append(due.landmark_ms)
        self.subject.append(due.subject)
        self.cold.append(due.features[:, _CAME_BACK] == 0)

    def columns(self) -> tuple[Int8s, Int64s, UInt64s, npt.NDArray[np.bool_]]:
        return (
            np.concatenate([np.zeros(0, np.int8), *self.label]),
            np.concatenate([np.zeros(0, np.int64), *self.landmark_ms]),
            np.concatenate([np.zeros(0, np.uint64), *self.subject]),
            np.concatenate([np.zeros(0, np.bool_), *self.cold]),
        )


def _only(examples: ExampleBatch, keep: npt.NDArray[np.bool_]) -> ExampleBatch:
    return ExampleBatch(
        kind=examples.kind[keep],
        features=examples.features[keep],
        label=examples.label[keep],
        landmark_ms=examples.landmark_ms[keep],
        matured_ms=examples.matured_ms[keep],
        subject=examples.subject[keep],
    )


def _by_week(landmark_ms: Int64s, losses: Floats) -> list[float]:
    """Return the mean loss of each week from the first landmark's on."""
    if not len(losses):
        return []
    week = landmark_ms // WEEK_MS - int(landmark_ms.min()) // WEEK_MS
    counts = np.bincount(week)
    sums = np.bincount(week, weights=losses)
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return list(map(float, means))
