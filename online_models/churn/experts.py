"""The churn models side by side, frozen, and their blend: whichever scores, it takes a few products."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from online_models.churn.bgnbd_expert import BgNbdExpert
from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.churn.hazard import BOUND, RolledHazard
from online_models.churn.settings import BgNbdSettings
from online_models.errors import CorruptStateError
from online_models.events import Floats

EXPERTS: Final = ("landmark", "newton", "rolled", "bgnbd")
"""AdaGrad and second order on labels of the horizon; the hazard of a step rolled to the horizon; BG/NBD."""

BLEND: Final = "blend"
CANDIDATES: Final = (*EXPERTS, BLEND)
"""What may be champion: an expert alone, or all of them blended."""

CONSTANT: Final = "constant"
BLEND_INPUTS: Final = (*EXPERTS, CONSTANT)
_FORMER_INPUTS: Final = ("landmark", "newton", "rolled", CONSTANT)
"""Of the releases that did not name them."""


@dataclass(frozen=True)
class Experts:
    """All models as they stood at a time.

    Parameters
    ----------
    weights, biases
        (2, F) and (2,) of the landmark and the newton model, scaling folded in.
    rolled
        The hazard model.
    bgnbd
        BG/NBD with the parameters of that time.
    blend
        (5,) shares of the experts in the blend, and its constant.
    champion
        The candidate that scored then.
    """

    weights: Floats
    biases: Floats
    rolled: RolledHazard
    bgnbd: BgNbdExpert
    blend: Floats
    champion: str

    def log_odds(self, features: Features32, steps: Floats) -> Floats:
        """Return (n, 5) log-odds of churn by candidate.

        Parameters
        ----------
        features
            (n, F) features.
        steps
            (k, n, F) the same as `Roll.aged` has computed them.
        """
        linear = np.einsum("nf,ef->ne", features.astype(np.float64), self.weights) + self.biases
        rolled = self.rolled.log_odds_aged(steps)
        columns = np.column_stack((np.clip(linear, -BOUND, BOUND), rolled, self.bgnbd.log_odds(features)))
        # Beyond the bound an expert is no surer; the blend goes by what it is served.
        return np.column_stack((columns, np.einsum("ne,e->n", columns, self.blend[:-1]) + self.blend[-1]))

    def champion_parts(self) -> tuple[Floats, float, float, float]:
        """Return the champion as (F,) weights, a constant, and the shares of rolled hazard and BG/NBD."""
        alone = [float(name == self.champion) for name in BLEND_INPUTS]
        first, second, rolled, bgnbd, constant = self.blend.tolist() if self.champion == BLEND else alone
        weights = first * self.weights[0] + second * self.weights[1]
        bias = first * float(self.biases[0]) + second * float(self.biases[1]) + constant
        return weights, bias, rolled, bgnbd

    def to_snapshot(self) -> dict[str, Any]:
        """Return the models as plain numbers and strings."""
        return {
            "features": list(FEATURE_NAMES),
            "weights": self.weights,
            "biases": self.biases,
            "rolled": self.rolled.to_snapshot(),
            "bgnbd": self.bgnbd.to_snapshot(),
            "inputs": list(BLEND_INPUTS),
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
        inputs = list(content.get("inputs", _FORMER_INPUTS))
        shares = dict(zip(inputs, np.asarray(content["blend"], dtype=np.float64).tolist(), strict=True))
        blend = np.array([shares.get(name, 0.0) for name in BLEND_INPUTS])
        if content["champion"] not in CANDIDATES:
            raise CorruptStateError(f"champion is {content['champion']!r}, not one of {CANDIDATES}")
        if not (np.isfinite(saved).all() and np.isfinite(biases).all() and np.isfinite(blend).all()):
            raise CorruptStateError("models have weights that are no numbers")
        rolled = RolledHazard.from_snapshot(content["rolled"])
        bgnbd = (
            BgNbdExpert.from_snapshot(content["bgnbd"])
            if "bgnbd" in content
            else BgNbdExpert(BgNbdSettings(), rolled.roll.horizon_ms)
        )
        return cls(weights, biases, rolled, bgnbd, blend, str(content["champion"]))
