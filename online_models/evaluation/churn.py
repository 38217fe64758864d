"""Judging churn scores: each landmark's probability, as given then, against the label that matured later.

A label is known a horizon after its landmark, never earlier; the model and the baselines predict with what
they had learned before the landmark, from labels matured by then (prequential evaluation with verification
latency [1]_).

References
----------
.. [1] Grzenda, Gomes, Bifet, 2020. Delayed labelling evaluation for data streams.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from online_models.churn.labels import CHURN, ExampleBatch
from online_models.errors import InvalidParameterError
from online_models.evaluation import classification
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
from online_models.events import SILENT_KINDS, EventBatch, Floats, Int8s, Int64s, UInt64s, hash_id

MODEL: Final = "keepstream"
WEEK_MS: Final = 7 * DAY_MS
_USER: Final = "u:"


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

    Raises
    ------
    InvalidParameterError
        If a number is out of range.
    """

    horizon_ms: int
    test_from_ms: int | None = None
    budget: int = 100
    draws: Draws = field(default_factory=lambda: Draws(count=200))

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
    """

    counts: dict[str, int]
    test_from_ms: int
    base_rate: float
    lift_ceiling: float
    quality: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Interval]]


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
        self._first_ms = -1
        self._counts = {"activities": 0, "labels": 0}
        self._judged = _Judged([], [], [])
        self._predicted: dict[str, list[Floats]] = {name: [] for name in self.names}

    @property
    def names(self) -> list[str]:
        """The model and the baselines."""
        return [MODEL, *(baseline.name for baseline in self._baselines)]

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
            self._days.add(hash_id(subject), time)
            self._counts["activities"] += 1

    def take(self, examples: ExampleBatch, scorer: Scorer | None, now_ms: int) -> None:
        """Take labels that matured, and the model after it has learned them.

        Parameters
        ----------
        examples
            Matured examples; those of other kinds are passed over.
        scorer
            The model from now on, None where there is none yet.
        now_ms
            Time of the tick at which they matured, epoch milliseconds.
        """
        churn = _only(examples, examples.kind == CHURN)
        due = _only(churn, churn.landmark_ms >= self.test_from_ms)
        if len(due):
            self._judged.add(due)
            self._predicted[MODEL].append(self._model_scores(due))
            for baseline in self._baselines:
                self._predicted[baseline.name].append(baseline.predict(due.subject, due.landmark_ms))
        if len(churn):
            self._counts["labels"] += len(churn)
            for baseline in self._baselines:
                baseline.learn(churn.subject, churn.landmark_ms, churn.label, now_ms)
        if scorer is not self._scorers.latest:
            self._scorers.set(now_ms, scorer)
            self._scorers.forget_before(now_ms - self.settings.horizon_ms - WEEK_MS)

    def report(self) -> ChurnReport:
        """Return everything found so far."""
        label, landmark_ms, subject = self._judged.columns()
        predicted = {
            name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in self._predicted.items()
        }
        distinct, users = np.unique(subject, return_inverse=True)
        counts = {"judged": len(label), "users_judged": len(distinct), "users": len(self._days)}
        return ChurnReport(
            counts=self._counts | counts,
            test_from_ms=self.test_from_ms,
            base_rate=float(label.mean()) if len(label) else float("nan"),
            lift_ceiling=classification.lift_ceiling(label),
            quality={name: self._quality(label, landmark_ms, scores) for name, scores in predicted.items()},
            intervals={
                name: self._lead(label, predicted[MODEL], scores, users)
                for name, scores in predicted.items()
                if name != MODEL
            },
        )

    def _model_scores(self, due: ExampleBatch) -> Floats:
        """Score each landmark by the model of its time; by the base rate where there was none."""
        scores = self._rate.predict(due.subject, due.landmark_ms)
        for landmark in np.unique(due.landmark_ms).tolist():
            scorer = self._scorers.before(landmark)
            if scorer is not None:
                rows = np.flatnonzero(due.landmark_ms == landmark)
                scores[rows] = scorer.score_many(due.features[rows])
        return scores

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

    def add(self, due: ExampleBatch) -> None:
        self.label.append(due.label)
        self.landmark_ms.append(due.landmark_ms)
        self.subject.append(due.subject)

    def columns(self) -> tuple[Int8s, Int64s, UInt64s]:
        return (
            np.concatenate([np.zeros(0, np.int8), *self.label]),
            np.concatenate([np.zeros(0, np.int64), *self.landmark_ms]),
            np.concatenate([np.zeros(0, np.uint64), *self.subject]),
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
