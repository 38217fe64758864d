"""What a change of the world costs, with and without a reaction to it.

After a change even the best model may lose more than before, so losses are not compared with earlier ones
but with hindsight: the scores bent by a logistic curve that is fitted afterwards, to the labels themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, logit

from online_models.evaluation import classification
from online_models.evaluation.classification import Labels
from online_models.events import Floats, Int64s

PERIOD_MS: Final = 28 * 86_400_000
_STEPS: Final = 25
_SURE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Reaction:
    """Excess log loss after a change, by periods of four weeks.

    Parameters
    ----------
    change_ms
        When the first period begins, epoch milliseconds; the period before it comes first in the lists.
    labels
        Landmarks of each period.
    excess
        By rule: mean log loss of each period beyond that of hindsight, nats; `nan` where there are no labels.
    """

    change_ms: int
    labels: list[int]
    excess: dict[str, list[float]]


def reaction(label: Labels, landmark_ms: Int64s, predicted: Mapping[str, Floats], change_ms: int) -> Reaction:
    """Return the excess of several rules over the same landmarks.

    Hindsight is the same for all rules of a period: that of the one which it makes best.

    Parameters
    ----------
    label, landmark_ms
        (n,) labels, and the times of their landmarks.
    predicted
        By rule: (n,) probabilities.
    change_ms
        When the world changed, epoch milliseconds.
    """
    period = (landmark_ms - change_ms) // PERIOD_MS
    counts: list[int] = []
    excess: dict[str, list[float]] = {name: [] for name in predicted}
    for number in range(-1, int(period.max(initial=-1)) + 1):
        rows = np.flatnonzero(period == number)
        counts.append(len(rows))
        known = label[rows]
        best = min((_hindsight(known, scores[rows]) for scores in predicted.values()), default=np.nan)
        for name, scores in predicted.items():
            excess[name].append(classification.log_loss(known, scores[rows]) - best)
    return Reaction(change_ms, counts, excess)


def _hindsight(label: Labels, scores: Floats) -> float:
    """Return the log loss after slope and constant of greatest likelihood, never above that of the scores.

    Newton's steps with a weak prior towards leaving the scores alone.
    """
    if not len(label):
        return float("nan")
    design = np.stack([logit(np.clip(scores, _SURE, 1 - _SURE)), np.ones(len(scores))], axis=1)
    start = np.array([1.0, 0.0])
    point = start
    for _ in range(_STEPS):
        chance = expit(design @ point)
        gradient = design.T @ (label - chance) - (point - start)
        curvature = (design.T * (chance * (1 - chance))) @ design + np.eye(2)
        point = point + np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
    bent = classification.log_loss(label, expit(design @ point))
    return min(bent, classification.log_loss(label, scores))
