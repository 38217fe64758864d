"""The check of users whose time has come: features, score, alert."""

from collections.abc import Sequence

import numpy as np

from online_models.churn.alerts import AlertPolicy, ChurnAlert, Reason, choose_action, reasons_for
from online_models.churn.effects import ChurnScore
from online_models.churn.features import RECENCY_LINEAR, Features32, features
from online_models.churn.rows import Rows
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import UserSettings
from online_models.events import Floats


def recency_score(x: Features32) -> Floats:
    """Return (n,) how much of the horizon a user has been quiet: the score before there is a model."""
    return np.clip(x[:, RECENCY_LINEAR].astype(np.float64), 0.0, 1.0)


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
        self, subjects: Sequence[str], rows: Rows, now_ms: int, scorer: ChurnScorer | None
    ) -> tuple[Features32, list[ChurnScore], list[ChurnAlert]]:
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

        Returns
        -------
        tuple
            (n, F) features, the scores, and the alerts, the most likely to leave first.
        """
        x = features(rows, now_ms, self.settings)
        alerts: list[ChurnAlert] = []
        version = 0
        if scorer is None or not scorer.ready:
            probability = recency_score(x)
        else:
            version, probability = scorer.version, scorer.score_many(x)
            chosen = self.policy.choose(rows, probability, scorer.threshold, now_ms)
            alerts = [
                self._alert(subjects[i], rows[i], x[i], float(probability[i]), now_ms, scorer)
                for i in chosen.tolist()
            ]
            rows["alert_ms"][chosen] = now_ms
        rows["score"], rows["score_ms"], rows["score_version"] = probability, now_ms, version
        last_ms = rows["last_ms"].tolist()
        scores = [
            ChurnScore(subject, now_ms, p, last, version)
            for subject, p, last in zip(subjects, probability.tolist(), last_ms, strict=True)
        ]
        return x, scores, alerts

    def explain(self, row: Rows, now_ms: int, scorer: ChurnScorer) -> tuple[Reason, ...]:
        """Return what speaks for the leaving of one user, given as (1,) rows, the strongest first."""
        x = features(row, now_ms, self.settings)
        return reasons_for(row[0], x[0], scorer.contributions(x)[0], self.settings.alerts.reasons, now_ms)

    def _alert(  # noqa: PLR0917  # the columns of one user
        self, subject: str, row: Rows, x: Features32, probability: float, now_ms: int, scorer: ChurnScorer
    ) -> ChurnAlert:
        contributions = scorer.contributions(x[None, :])[0]
        return ChurnAlert(
            subject=subject,
            at_ms=now_ms,
            probability=probability,
            threshold=self.policy.threshold(scorer.threshold),
            reasons=reasons_for(row, x, contributions, self.settings.alerts.reasons, now_ms),
            action=choose_action(row),
            model_version=scorer.version,
        )
