"""BG/NBD as an expert: four numbers describe all users, and follow what users do, label by label.

The parameters are usually fitted to whole histories. Here they are fitted to the question itself, whether a
user comes within the next step, by an extended Kalman filter over their logarithms: its labels are the
youngest there are, and it does not matter that only users active within the horizon are asked about.

References
----------
Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005): "Counting Your Customers" the Easy Way: An Alternative to
the Pareto/NBD Model. Marketing Science 24(2).
Ollivier, Y. (2018): Online natural gradient as a Kalman filter. Electronic Journal of Statistics 12(2).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np

from online_models.churn.bgnbd import log_odds_of_silence
from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.churn.hazard import BOUND
from online_models.churn.settings import DAY_MS, BgNbdSettings
from online_models.errors import CorruptStateError
from online_models.events import Floats

PARAMETERS: Final = ("r", "alpha_days", "a", "b")
_SESSIONS, _RECENCY, _TENURE = (FEATURE_NAMES.index(name) for name in ("sessions", "recency", "tenure"))
_VARIANCE: Final = 0.1
"""Of the logarithms before the first label: parameters are believed to be right within a third."""
_NOISE: Final = 1e-9
"""What the variance gains per label, so that learning never ends."""
_STEP: Final = 0.2
_FAR: Final = 5.0
"""A label moves a logarithm by at most a step; none goes further than this from where it began."""
_DELTA: Final = 1e-4
_AROUND: Final = np.vstack([np.zeros(4), np.eye(4) * _DELTA, np.eye(4) * -_DELTA])
_LARGEST: Final = 50.0


@dataclass(frozen=True)
class BgNbdExpert:
    """BG/NBD with given parameters, answering for the horizon from the features of a user.

    Parameters
    ----------
    parameters
        Of the model; sessions count as its transactions.
    horizon_ms
        The silence asked for, milliseconds.
    """

    parameters: BgNbdSettings
    horizon_ms: int

    def log_odds(self, features: Features32 | Floats) -> Floats:
        """Return (n,) log-odds of no activity within the horizon for (n, F) features, within `BOUND`."""
        point = np.log([getattr(self.parameters, name) for name in PARAMETERS])
        odds = _log_odds(_history(features), self.horizon_ms / DAY_MS, point[:, None])
        return np.clip(np.nan_to_num(odds), -BOUND, BOUND)

    def to_snapshot(self) -> dict[str, Any]:
        """Return the expert as plain numbers."""
        return {"horizon_ms": self.horizon_ms, **asdict(self.parameters)}

    @classmethod
    def from_snapshot(cls, content: Mapping[str, Any]) -> Self:
        """Return the expert that `to_snapshot` described."""
        values = {name: float(content[name]) for name in PARAMETERS}
        return cls(BgNbdSettings(**values), int(content["horizon_ms"]))


class OnlineBgNbd:
    """The four parameters, learned from whether users come within a step.

    Parameters
    ----------
    start
        Parameters before the first label.
    step_ms
        What a label asks for, milliseconds.

    Examples
    --------
    >>> often = np.zeros(len(FEATURE_NAMES), np.float32)
    >>> often[[_SESSIONS, _RECENCY, _TENURE]] = np.log1p([3, 5, 60])
    >>> model, start = OnlineBgNbd(BgNbdSettings(), 7 * DAY_MS), BgNbdExpert(BgNbdSettings(), 7 * DAY_MS)
    >>> for _ in range(50):
    ...     model.learn_one(often, 1)
    >>> bool(model.expert(7 * DAY_MS).log_odds(often[None])[0] < start.log_odds(often[None])[0])
    True
    """

    def __init__(self, start: BgNbdSettings, step_ms: int) -> None:
        self._start: Floats = np.log([getattr(start, name) for name in PARAMETERS])
        self._step_days = step_ms / DAY_MS
        self._point = self._start.copy()
        self._covariance: Floats = np.eye(4) * _VARIANCE

    def expert(self, horizon_ms: int) -> BgNbdExpert:
        """Return the model as it stands, for a horizon."""
        values = dict(zip(PARAMETERS, np.exp(self._point).tolist(), strict=True))
        return BgNbdExpert(BgNbdSettings(**values), horizon_ms)

    def learn_one(self, x: Features32, active: int) -> None:
        """Learn whether a user was active within the step.

        Parameters
        ----------
        x
            (F,) features before it.
        active
            1 where activity followed, else 0.
        """
        odds = _log_odds(_history(x[None, :]), self._step_days, (self._point + _AROUND).T)
        if not np.isfinite(odds).all():
            return
        slope = (odds[1:5] - odds[5:]) / (2 * _DELTA)
        silent = 1 / (1 + math.exp(-max(-30.0, min(30.0, float(odds[0])))))
        along = self._covariance @ slope
        bend = max(silent * (1 - silent), 1e-4)
        width = 1 + bend * float(slope @ along)
        moved = self._point + np.clip(along * ((1 - active - silent) / width), -_STEP, _STEP)
        self._point = np.clip(moved, self._start - _FAR, self._start + _FAR)
        self._covariance = (
            self._covariance - np.multiply.outer(along, along) * (bend / width) + np.eye(4) * _NOISE
        )

    def state(self) -> dict[str, Any]:
        """Return the model as plain numbers."""
        return {
            "names": list(PARAMETERS),
            "logarithms": self._point,
            "covariance": self._covariance.ravel(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` described.

        Raises
        ------
        CorruptStateError
            When numbers are missing or none.
        """
        point = np.asarray(state["logarithms"], dtype=np.float64)
        covariance = np.asarray(state["covariance"], dtype=np.float64)
        if list(state["names"]) != list(PARAMETERS) or point.shape != (4,) or covariance.shape != (16,):
            raise CorruptStateError(f"BG/NBD has parameters {state['names']} of {point.size} numbers")
        if not (np.isfinite(point).all() and np.isfinite(covariance).all()):
            raise CorruptStateError("BG/NBD has parameters that are no numbers")
        self._point, self._covariance = point.copy(), covariance.reshape(4, 4).copy()


def _history(features: Features32 | Floats) -> tuple[Floats, Floats, Floats]:
    """Return (n,) repeat sessions, time of the latest and age of n users, in days."""
    columns = np.asarray(features, dtype=np.float64)[:, [_SESSIONS, _RECENCY, _TENURE]]
    sessions, quiet, age = np.expm1(np.clip(columns, 0.0, _LARGEST)).T
    return sessions, np.maximum(age - quiet, 0.0), age


def _log_odds(history: tuple[Floats, Floats, Floats], days: float, point: Floats) -> Floats:
    """Return log-odds of silence: for n histories and (4, 1) logarithms, or for one and (4, m)."""
    sessions, last, age = history
    r, alpha, a, b = np.exp(point)
    # Users beyond all measure have no odds: what is no number is dealt with where it is used.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return log_odds_of_silence(sessions, last, age, days, r=r, alpha=alpha, a=a, b=b)
