"""The learned ranker: a small network over the features of candidates, learned one touch at a time.

A candidate's score is a linear function of its features plus a hidden layer of rectified units; the scores of
a user's candidates are the logits of a softmax, and a touch is one step of AdaGrad on its cross-entropy, over
*all* candidates that were kept. Nothing is sampled, so nothing has to be corrected for. It starts as the base
ranker: its linear weights, and a hidden layer that does not count yet.

References
----------
.. [1] Cao, Qin, Liu, Tsai, Li, 2007. Learning to rank: from pairwise approach to listwise approach (ListNet).
.. [2] Duchi, Hazan, Singer, 2011. Adaptive subgradient methods for online learning and
   stochastic optimization.
.. [3] Cheng et al., 2016. Wide & deep learning for recommender systems.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import Floats
from online_models.items.features import RANK_FEATURES
from online_models.items.pairs import Floats32
from online_models.items.ranker import BASE_WEIGHTS

HIDDEN: Final = 32
LEARNING_RATE: Final = 0.1
_FIRST_SQUARE: Final = 0.01
_SEED: Final = 7
_LARGEST: Final = 1e6


class Layers(NamedTuple):
    """Parameters of the network, or a number for each.

    Parameters
    ----------
    inner
        (f, h) weights of the hidden units.
    threshold
        (h,) their constants.
    outer
        (h,) what each adds to the score.
    direct
        (f,) linear weights.
    """

    inner: Floats
    threshold: Floats
    outer: Floats
    direct: Floats


class RankNetwork:
    """Scores candidates and learns from touches, step by step.

    Parameters
    ----------
    hidden
        Hidden units.
    learning_rate
        Step size of AdaGrad.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.

    Examples
    --------
    >>> network = RankNetwork()
    >>> features = np.zeros((2, len(RANK_FEATURES)), np.float32)
    >>> features[1, RANK_FEATURES.index("price_gap")] = 1.0
    >>> for _ in range(20):
    ...     _ = network.learn_one(features, target=1)
    >>> bool(np.diff(network.score_many(features))[0] > 0.5)
    True
    """

    def __init__(self, hidden: int = HIDDEN, learning_rate: float = LEARNING_RATE) -> None:
        if hidden < 1:
            raise InvalidParameterError(f"hidden must be at least 1, got {hidden}")
        if not 0 < learning_rate < float("inf"):
            raise InvalidParameterError(f"learning_rate must be positive, got {learning_rate}")
        self.learning_rate = learning_rate
        width = len(RANK_FEATURES)
        drawn = np.random.default_rng(_SEED).normal(0.0, 1.0 / np.sqrt(width), (width, hidden))
        direct = np.array([BASE_WEIGHTS[name] for name in RANK_FEATURES])
        self.layers = Layers(drawn, np.zeros(hidden), np.zeros(hidden), direct)
        self._squares = Layers(*(np.full(part.shape, _FIRST_SQUARE) for part in self.layers))

    def score_many(self, features: Floats32) -> Floats:
        """Return a score for each row of features (n, f), in the order of `RANK_FEATURES`."""
        return self._forward(features.astype(np.float64))[0]

    def learn_one(self, features: Floats32, target: int, weight: float = 1.0) -> Floats:
        """Take one step, and return the (n,) scores before it.

        Parameters
        ----------
        features
            (n, f) all candidates of one user.
        target
            Which of them was touched.
        weight
            What the touch counts, above 0 to 1.
        """
        x = features.astype(np.float64)
        scores, active = self._forward(x)
        error = np.exp(scores - scores.max())
        error /= error.sum()
        error[target] -= 1.0
        error *= weight
        back = np.multiply.outer(error, self.layers.outer) * (active > 0)
        steps = Layers(x.T @ back, back.sum(axis=0), error @ active, error @ x)
        for part, square, gradient in zip(self.layers, self._squares, steps, strict=True):
            np.add(square, gradient * gradient, out=square)
            np.subtract(part, self.learning_rate * gradient / np.sqrt(square), out=part)
        return scores

    def frozen(self) -> "FrozenRanker":
        """Return the network as it stands, to score with."""
        return FrozenRanker(Layers(*(part.copy() for part in self.layers)))

    def state(self) -> dict[str, Any]:
        """Return everything as plain numbers and strings."""
        return {
            "features": list(RANK_FEATURES),
            "learning_rate": self.learning_rate,
            "layers": dict(zip(Layers._fields, self.layers, strict=True)),
            "squares": dict(zip(Layers._fields, self._squares, strict=True)),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the network that `state` described; it goes on learning bit for bit as that one would.

        Features go by their names: what was learned of one that is no longer computed is left out, and a new
        one starts as in a new network.
        """
        layers, squares = state["layers"], state["squares"]
        network = cls(len(layers["outer"]), float(state["learning_rate"]))
        names = list(state["features"])
        network.layers = _by_name(layers, names, network.layers)
        network._squares = _by_name(squares, names, network._squares)
        return network

    def _forward(self, x: Floats) -> tuple[Floats, Floats]:
        active = np.maximum(x @ self.layers.inner + self.layers.threshold, 0.0)
        return x @ self.layers.direct + active @ self.layers.outer, active


class FrozenRanker:
    """A learned ranker as it was at one moment, in single precision: what lists are ranked with.

    Parameters
    ----------
    layers
        Its parameters.
    """

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self._single = [np.ascontiguousarray(part, dtype=np.float32) for part in layers]

    def score_many(self, features: Floats32) -> Floats:
        """Return a score for each row of features (n, f), in the order of `RANK_FEATURES`."""
        inner, threshold, outer, direct = self._single
        active = features @ inner
        active += threshold
        np.maximum(active, 0.0, out=active)
        return np.asarray(features @ direct + active @ outer, np.float64)

    def to_snapshot(self) -> dict[str, Any]:
        """Return the parameters as plain lists."""
        layers = {name: part.tolist() for name, part in zip(Layers._fields, self.layers, strict=True)}
        return {"features": list(RANK_FEATURES), "layers": layers}

    @classmethod
    def from_snapshot(cls, content: Mapping[str, Any]) -> Self:
        """Return the ranker that `to_snapshot` described; features go by their names.

        Raises
        ------
        CorruptStateError
            When a parameter is no number.
        """
        layers = {name: np.array(content["layers"][name], np.float64) for name in Layers._fields}
        start = RankNetwork(len(layers["outer"])).layers
        found = _by_name(layers, list(content["features"]), start)
        if not all(np.isfinite(part).all() and (np.abs(part) < _LARGEST).all() for part in found):
            raise CorruptStateError("ranker has weights that are no numbers")
        return cls(found)


def _by_name(layers: Mapping[str, npt.NDArray[Any]], names: list[str], start: Layers) -> Layers:
    """Return layers with one row for every present feature; new ones as in `start`."""
    parts = [np.array(layers[name], np.float64) for name in Layers._fields]
    hidden = start.outer.size
    for part, shape in zip(parts, ((len(names), hidden), (hidden,), (hidden,), (len(names),)), strict=True):
        if part.shape != shape:
            raise CorruptStateError(f"ranker has a layer of shape {part.shape}, expected {shape}")
    if names == list(RANK_FEATURES):
        return Layers(*parts)
    held = [name for name in names if name in RANK_FEATURES]
    new, old = [RANK_FEATURES.index(name) for name in held], [names.index(name) for name in held]
    inner, direct = start.inner.copy(), start.direct.copy()
    inner[new], direct[new] = parts[0][old], parts[3][old]
    return Layers(inner, parts[1], parts[2], direct)
