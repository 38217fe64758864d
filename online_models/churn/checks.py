"""The check of users whose time has come: features, score, alert."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from online_models.churn.alerts import (
    AlertPolicy,
    ChurnAlert,
    WithheldReason,
    choose_action,
)
from online_models.churn.effects import ChurnScore
from online_models.churn.features import RECENCY_LINEAR, Features32, features
from online_models.churn.reasons import Explanation, explain
from online_models.churn.rows import Rows
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import UserSettings
from online_models.events import Floats, Int64s
from online_models.value.expected import expected_spend
from online_models.winback.bandit import BanditPolicy
from online_models.winback.context import contexts


def recency_score(x: Features32) -> Floats:
    """Return (n,) how much of the horizon a user has been quiet: the score before there is a model."""
    return np.clip(x[:, RECENCY_LINEAR].astype(np.float64), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a check of n users.

    Parameters
    ----------
    features
        (n, F) features.
    scores
        The scores.
    alerts
        The alerts, the most urgent first.
    alerted
        (a,) which of the users they are for.
    withheld
        How many alerts were not sent, by reason.
    """

    features: Features32
    scores: list[ChurnScore]
    alerts: list[ChurnAlert] = field(default_factory=list)
    alerted: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    withheld: dict[WithheldReason, int] = field(default_factory=dict)


class Checker:
    """Scores users and decides on alerts.

    Parameters
    ----------
    settings
        Horizon, feature parameters and alert settings.

    Attributes
    ----------
    policy
        The alert policy; its counters are part of the store's state.
    """

    def __init__(self, settings: UserSettings) -> None:
        self.settings = settings
        self.policy = AlertPolicy(settings.alerts)

    def check(
        self,
        subjects: Sequence[str],
        rows: Rows,
        now_ms: int,
        scorer: ChurnScorer | None,
        bandit: BanditPolicy | None = None,
    ) -> Checked:
        """Check users and note score and alert in their rows.

        Parameters
        ----------
        subjects, rows
            n users in an order that does not depend on how the state came about, and (n,) their rows,
            changed in place.
        now_ms
            Time of the check.
        scorer
            The newest model; without a trained one users are scored by recency and nobody is alerted.
        bandit
            What is believed of the win-back actions; asked by the rule ``effect``.
        """
        x = features(rows, now_ms, self.settings)
        trained = scorer is not None and scorer.ready
        version = scorer.version if scorer is not None and trained else 0
        probability = scorer.score_many(x) if scorer is not None and trained else recency_score(x)
        rows["score"], rows["score_ms"], rows["score_version"] = probability, now_ms, version
        rows["held_ms"] = 0
        last_ms = rows["last_ms"].tolist()
        scores = [
            ChurnScore(subject, now_ms, p, last, version)
            for subject, p, last in zip(subjects, probability.tolist(), last_ms, strict=True)
        ]
        if scorer is None or not trained:
            return Checked(x, scores)
        gain = self._gain(rows, probability, now_ms, bandit)
        choice = self.policy.choose(rows, probability, gain, scorer.threshold, now_ms)
        alerts = [
            self._alert(subjects[i], rows[[i]], x[[i]], float(probability[i]), float(gain[i]), now_ms, scorer)
            for i in choice.alerted.tolist()
        ]
        return Checked(x, scores, alerts, choice.alerted, choice.withheld)

    def _gain(self, rows: Rows, probability: Floats, now_ms: int, bandit: BanditPolicy | None) -> Floats:
        settings, alerts = self.settings, self.settings.alerts
        spend = expected_spend(rows, now_ms, settings.horizon_ms)
        if alerts.rule == "effect" and bandit is not None and bandit.version:
            winback = settings.winback
            x = contexts(rows, probability, spend, now_ms, settings.horizon_ms)
            costs = np.array([winback.cost_of(arm) for arm in winback.arms]) / winback.return_value
            return bandit.effects(winback.arms, costs, x) * winback.return_value - alerts.cost
        return np.asarray(spend * alerts.margin * probability - alerts.cost)

    def explain(self, row: Rows, now_ms: int, scorer: ChurnScorer) -> Explanation:
        """Return why one user, given as (1,) rows, is likely to leave."""
        return explain(row, features(row, now_ms, self.settings), now_ms, scorer, self.settings)

    def _alert(  # noqa: PLR0917  # the columns of one user
        self,
        subject: str,
        row: Rows,
        x: Features32,
        probability: float,
        gain: float,
        now_ms: int,
        scorer: ChurnScorer,
    ) -> ChurnAlert:
        return ChurnAlert(
            subject=subject,
            at_ms=now_ms,
            probability=probability,
            threshold=self.policy.threshold(scorer.threshold),
            explanation=explain(row, x, now_ms, scorer, self.settings),
            action=choose_action(row[0]),
            model_version=scorer.version,
            expected_value=gain,
        )
