"""The online model behind one kind of label: River's scaled logistic regression, and how well it does.

River's `learn_many` takes one step per batch and hardly learns from micro-batches, so every label is learned
by itself. Each probability is taken before its label is learned: the measures are prequential.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
from river import linear_model, optim, preprocessing, utils

from online_models.churn.drift import Adwin
from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.events import Floats

LEARNING_RATE: Final = 0.05
_LOSS_BOUND: Final = 4.0
FORGET: Final = 0.1
"""What is left of AdaGrad's sums when the log loss rises; 1 leaves them alone."""


class LabelModel:
    """A logistic regression on standardised features, learned label by label with AdaGrad.

    When ADWIN sees the log loss rise, the step size is restored: most of what AdaGrad summed up is forgotten,
    so steps are about three times as large and the model follows.

    Parameters
    ----------
    learning_rate
        Step size of AdaGrad.
    forget
        What is left of AdaGrad's sums when the log loss rises.

    Attributes
    ----------
    learned, positives
        Labels learned, and those that were 1.
    drifts
        How often the step size was restored.
    skipped
        Labels left out because their features were not finite.
    """

    def __init__(self, learning_rate: float = LEARNING_RATE, forget: float = FORGET) -> None:
        self.learning_rate = learning_rate
        self.forget = forget
        self.learned = 0
        self.positives = 0
        self.drifts = 0
        self.skipped = 0
        self._losses = Adwin()
        self._loss_sum = 0.0
        self._scaler: Any = preprocessing.StandardScaler()
        self._optimizer = optim.AdaGrad(learning_rate)
        self._regression: Any = linear_model.LogisticRegression(optimizer=self._optimizer)

    def predict_one(self, x: Features32) -> float:
        """Return the probability of label 1 for (F,) features; one half before anything was learned."""
        named = dict(zip(FEATURE_NAMES, x.tolist(), strict=True))
        return float(self._regression.predict_proba_one(self._scaler.transform_one(named))[True])

    def learn_one(self, x: Features32, label: int) -> float | None:
        """Learn one label and return the probability of label 1 before; None where it had to be left out.

        Parameters
        ----------
        x
            (F,) features. Not finite ones never reach River: one NaN would make every weight NaN.
        label
            0 or 1.
        """
        if not np.isfinite(x).all():
            self.skipped += 1
            return None
        before = self.predict_one(x)
        named = dict(zip(FEATURE_NAMES, x.tolist(), strict=True))
        self._scaler.learn_one(named)
        self._regression.learn_one(self._scaler.transform_one(named), bool(label))
        self.learned += 1
        self.positives += label
        self._watch(-math.log(max(before if label else 1 - before, 1e-15)))
        return before

    @property
    def log_loss(self) -> float:
        """Mean prequential log loss since the first label, nats; 0 before it."""
        return self._loss_sum / self.learned if self.learned else 0.0

    @property
    def recent_loss(self) -> float:
        """Mean log loss of the labels that ADWIN holds to be like the latest ones."""
        return self._losses.mean

    def coefficients(self) -> tuple[Floats, float, Floats]:
        """Return (F,) weights of the raw features, the constant, and (F,) means, scaling folded in."""
        means = np.array([self._scaler.means.get(name, 0.0) for name in FEATURE_NAMES])
        spread = np.sqrt([self._scaler.vars.get(name, 0.0) for name in FEATURE_NAMES])
        learned = self._regression.weights
        weights = np.array([float(learned.get(name, 0.0)) for name in FEATURE_NAMES])
        scaled = np.divide(weights, spread, out=np.zeros(len(FEATURE_NAMES)), where=spread > 0)
        return scaled, float(self._regression.intercept) - float(scaled @ means), means

    def state(self) -> dict[str, Any]:
        """Return the model as plain numbers and strings."""
        weights = self._regression.weights
        return {
            "features": list(FEATURE_NAMES),
            "learning_rate": self.learning_rate,
            "learned": self.learned,
            "positives": self.positives,
            "drifts": self.drifts,
            "skipped": self.skipped,
            "loss_sum": self._loss_sum,
            "losses": self._losses.state(),
            "counts": dict(self._scaler.counts),
            "means": dict(self._scaler.means),
            "vars": dict(self._scaler.vars),
            "weights": {name: float(value) for name, value in weights.items()},
            "intercept": float(self._regression.intercept),
            "gradients": {name: float(value) for name, value in self._optimizer.g2.items()},
            "steps": self._optimizer.n_iterations,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], forget: float = FORGET) -> Self:
        """Return the model that `state` described; it goes on learning bit for bit as that one would.

        Features go by their names: what was learned of one that is no longer computed is left out, and a new
        one starts from nothing, with weight 0.
        """
        model = cls(state["learning_rate"], forget)
        model.learned, model.positives = state["learned"], state["positives"]
        model.drifts, model.skipped = state["drifts"], state["skipped"]
        model._loss_sum = state["loss_sum"]
        model._losses = Adwin.from_state(state["losses"])
        model._scaler.counts.update(_known(state["counts"]))
        model._scaler.means.update(_known(state["means"]))
        model._scaler.vars.update(_known(state["vars"]))
        # River has no public way to set these; the round-trip test guards them.
        model._regression._weights = utils.VectorDict(_known(state["weights"]))  # noqa: SLF001
        model._regression.intercept = state["intercept"]
        model._optimizer.g2.update(_known(state["gradients"]))
        model._optimizer.n_iterations = state["steps"]
        return model

    def ask_anew(self) -> None:
        """Keep the weights as a start for labels of another question, and count and measure from nothing."""
        self.learned = self.positives = self.drifts = self.skipped = 0
        self._loss_sum, self._losses = 0.0, Adwin()
        self._optimizer.g2.clear()

    def _watch(self, loss: float) -> None:
        self._loss_sum += loss
        if self._losses.update(min(loss, _LOSS_BOUND)) and self._losses.rising:
            self.drifts += 1
            for name in self._optimizer.g2:
                self._optimizer.g2[name] *= self.forget


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in FEATURE_NAMES if name in values}
