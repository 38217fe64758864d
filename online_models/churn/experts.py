"""The churn models side by side, frozen, and their blend: whichever scores, it takes a few products."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.churn.hazard import BOUND, RolledHazard
from online_models.errors import CorruptStateError
from online_models.events import Floats

EXPERTS: Final = ("landmark", "newton", "rolled")
"""AdaGrad and second order on labels of the horizon, and the hazard of a step rolled to the horizon."""

BLEND: Final = "blend"
CANDIDATES: Final = (*EXPERTS, BLEND)
"""What may be champion: an expert alone, or all of them blended."""

CONSTANT: Final = "constant"
BLEND_INPUTS: Final = (*EXPERTS, CONSTANT)


@dataclass(frozen=True)
class Experts:
    """All models as they stood at a time.

    Parameters
    ----------
    weights, biases
        (2, F) and (2,) of the landmark and the newton model, scaling folded in.
    rolled
        The hazard model.
    blend
        (4,) shares of the experts in the blend, and its constant.
    champion
        The candidate that scored then.
    """

    weights: Floats
    biases: Floats
    rolled: RolledHazard
    blend: Floats
    champion: str

    def log_odds(self, features: Features32, steps: Floats) -> Floats:
        """Return (n, 4) log-odds of churn by candidate.

        Parameters
        ----------
        features
            (n, F) features.
        steps
            (k, n, F) the same as `Roll.aged` has computed them.
        """
        linear = np.einsum("nf,ef->ne", features.astype(np.float64), self.weights) + self.biases
        rolled = self.rolled.log_odds_aged(steps)
        columns = np.column_stack((np.clip(linear, -BOUND, BOUND), rolled))
        # Beyond the bound an expert is no surer; the blend goes by what it is served.
        return np.column_stack((columns, np.einsum("ne,e->n", columns, self.blend[:3]) + self.blend[3]))

    def champion_parts(self) -> tuple[Floats, float, float]:
        """Return the champion as (F,) weights, a constant, and the share of the rolled hazard."""
        parts = {
            "landmark": (1.0, 0.0, 0.0, 0.0),
            "newton": (0.0, 1.0, 0.0, 0.0),
            "rolled": (0.0, 0.0, 1.0, 0.0),
            "blend": tuple(self.blend.tolist()),
        }
        first, second, rolled, constant = parts[self.champion]
        weights = first * self.weights[0] + second * self.weights[1]
        bias = first * float(self.biases[0]) + second * float(self.biases[1]) + constant
        return weights, bias, rolled

    def to_snapshot(self) -> dict[str, Any]:
        """Return the models as plain numbers and strings."""
        return {
            "features": list(FEATURE_NAMES),
            "weights": self.weights,
            "biases": self.biases,
            "rolled": self.rolled.to_snapshot(),
            "blend": self.blend,
            "champion": self.champion,
        }

    @classmethod
    def from_snapshot(cls, content: Mapping[str, Any]) -> Self:
        """Return the models that `to_snapshot` described; features go by their names.

        Raises
        ------
        CorruptStateError
            When the champion is none that there is, or a number is missing or none.
        """
        names = list(content["features"])
        saved = np.asarray(content["weights"], dtype=np.float64).reshape(2, len(names))
        places = {name: place for place, name in enumerate(names)}
        weights = np.zeros((2, len(FEATURE_NAMES)))
        for place, name in enumerate(FEATURE_NAMES):
            if name in places:
                weights[:, place] = saved[:, places[name]]
        biases = np.asarray(content["biases"], dtype=np.float64).reshape(2)
        blend = np.asarray(content["blend"], dtype=np.float64).reshape(len(BLEND_INPUTS))
        if content["champion"] not in CANDIDATES:
            raise CorruptStateError(f"champion is {content['champion']!r}, not one of {CANDIDATES}")
        if not (np.isfinite(saved).all() and np.isfinite(biases).all() and np.isfinite(blend).all()):
            raise CorruptStateError("models have weights that are no numbers")
        rolled = RolledHazard.from_snapshot(content["rolled"])
        return cls(weights, biases, rolled, blend, str(content["champion"]))
