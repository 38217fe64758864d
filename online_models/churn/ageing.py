"""What a user's features will be after some more days of silence, computed from the features alone."""

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from online_models.churn.bgnbd import log_odds_of_silence
from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.churn.settings import BgNbdSettings
from online_models.events import Floats

_AT: Final = {name: place for place, name in enumerate(FEATURE_NAMES)}
_RECENCY, _TENURE, _SINCE_PURCHASE = _AT["recency"], _AT["tenure"], _AT["purchase_recency"]
_LINEAR, _OVER_GAP, _GAP = _AT["recency_linear"], _AT["recency_over_gap"], _AT["gap_mean"]
_SESSIONS, _WEEK, _QUARTER, _TREND = _AT["sessions"], _AT["sessions_7d"], _AT["sessions_90d"], _AT["trend"]
_BGNBD: Final = _AT["bgnbd"]
_NEVER_BOUGHT: Final = np.float32(np.log1p(365.0))
_LARGEST: Final = 50.0
"""Logarithm beyond which no amount is believed."""

_FADING: Final = {
    _AT[name]: int(found.group(1)) for name in FEATURE_NAMES if (found := re.fullmatch(r"\w+_(\d+)d", name))
}
_PLACES: Final = np.array(list(_FADING))
_HALF_LIVES: Final = np.array(list(_FADING.values()), dtype=np.float64)


def aged(features: Features32 | Floats, days: Floats, horizon_days: float, bgnbd: BgNbdSettings) -> Floats:
    """Return (k, n, F) the features that n users will have after k spans of further silence.

    Times since grow, counters fade, nothing else changes. Zero days give back what came in, within rounding.

    Parameters
    ----------
    features
        (n, F) features as of now.
    days
        (k,) days of silence to come.
    horizon_days
        Horizon by which `recency_linear` and `bgnbd` go.
    bgnbd
        Parameters of `bgnbd`.
    """
    now = np.asarray(features, dtype=np.float64)
    later = np.broadcast_to(now, (len(days), *now.shape)).copy()
    amounts = np.expm1(np.clip(np.nan_to_num(now), 0.0, _LARGEST))
    spans = np.asarray(days, dtype=np.float64)[:, None]
    quiet = amounts[:, _RECENCY] + spans
    known = amounts[:, _TENURE] + spans
    later[..., _RECENCY] = np.log1p(quiet)
    later[..., _TENURE] = np.log1p(known)
    later[..., _LINEAR] = quiet / horizon_days
    later[..., _OVER_GAP] = np.log1p(quiet / np.maximum(amounts[:, _GAP], 1e-3))
    fade = np.exp2(-spans[..., None] / _HALF_LIVES)
    later[..., _PLACES] = np.log1p(amounts[:, _PLACES] * fade)
    later[..., _TREND] = np.log(
        (np.expm1(later[..., _WEEK]) + 0.1) / (np.expm1(later[..., _QUARTER]) * (7 / 90) + 0.1)
    )
    bought = now[:, _SINCE_PURCHASE]
    since = np.log1p(amounts[:, _SINCE_PURCHASE] + spans)
    later[..., _SINCE_PURCHASE] = np.where(bought == _NEVER_BOUGHT, bought, since)
    later[..., _BGNBD] = _silence(amounts[:, _SESSIONS], quiet, known, horizon_days, bgnbd)
    return later


def _silence(
    repeats: npt.NDArray[np.float64], quiet: Floats, known: Floats, horizon_days: float, model: BgNbdSettings
) -> Floats:
    odds = log_odds_of_silence(
        np.broadcast_to(repeats, quiet.shape),
        np.maximum(known - quiet, 0),
        known,
        horizon_days,
        r=model.r,
        alpha=model.alpha_days,
        a=model.a,
        b=model.b,
    )
    return np.clip(odds, -20, 20)
