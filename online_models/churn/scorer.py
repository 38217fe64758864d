"""The model as it is broadcast: plain numbers that score all due users with a few matrix products."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np

from online_models import snapshots
from online_models.churn.bgnbd_expert import BgNbdExpert
from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.churn.hazard import RolledHazard
from online_models.errors import CorruptStateError
from online_models.events import Floats

SNAPSHOT_VERSION: Final = 1
_BGNBD: Final = FEATURE_NAMES.index("bgnbd")


@dataclass(frozen=True)
class ChurnScorer:
    """A trained churn model, frozen.

    Parameters
    ----------
    version
        Number of the snapshot, from 1.
    weights, bias
        (F,) weights of the raw features and the constant, scaling folded in.
    center
        (F,) mean of the features: contributions are counted from there.
    threshold
        Probability from which on alerts fit the daily budget; 1 while that is unknown.
    ready
        Whether enough labels of both classes were learned.
    card
        Measures of the model by name, for people.
    horizon_ms
        Horizon of the labels it has learned, 0 where that is not known.
    champion
        Which of the candidates it is.
    rolled, rolled_share
        Hazard model, and by how much its log-odds count beside the linear ones; None and 0 without.
    bgnbd, bgnbd_share
        The same of BG/NBD.
    """

    version: int
    weights: Floats
    bias: float
    center: Floats
    threshold: float
    ready: bool
    card: Mapping[str, float] = field(default_factory=dict)
    horizon_ms: int = 0
    champion: str = "landmark"
    rolled: RolledHazard | None = None
    rolled_share: float = 0.0
    bgnbd: BgNbdExpert | None = None
    bgnbd_share: float = 0.0

    def answers(self, horizon_ms: int) -> bool:
        """Return whether its probabilities are about this horizon."""
        return self.horizon_ms in (0, horizon_ms)

    def score_many(self, features: Features32) -> Floats:
        """Return (n,) probabilities of no activity within the horizon for (n, F) features.

        Row by row the same value whatever other rows there are.
        """
        log_odds = self.log_odds(features)
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0))))

    def log_odds(self, features: Features32 | Floats) -> Floats:
        """Return (n,) log-odds of no activity within the horizon for (n, F) features."""
        # Not a BLAS product: its rounding depends on how many rows there are.
        linear = np.einsum("ij,j->i", np.asarray(features, dtype=np.float64), self.weights) + self.bias
        if self.rolled is not None:
            linear = linear + self.rolled_share * self.rolled.log_odds(features)
        if self.bgnbd is not None:
            linear = linear + self.bgnbd_share * self.bgnbd.log_odds(features)
        return np.asarray(linear)

    def contributions(self, features: Features32) -> Floats:
        """Return (n, F) what each feature adds to the log-odds, compared with a user of mean features.

        They add up to the difference between the user's log-odds and those of that user. What BG/NBD adds
        counts for the feature of that name.
        """
        found = np.asarray((features - self.center) * self.weights)
        if self.rolled is not None:
            found = found + self.rolled_share * self.rolled.contributions(features, self.center)
        if self.bgnbd is not None:
            away = self.bgnbd.log_odds(features) - self.bgnbd.log_odds(self.center[None, :])
            found[:, _BGNBD] += self.bgnbd_share * away
        return found

    def pack(self) -> bytes:
        """Return the scorer as bytes."""
        return snapshots.pack("churn-scorer", SNAPSHOT_VERSION, self.to_snapshot())

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the scorer that `pack` wrote.

        Raises
        ------
        CorruptStateError
            When the bytes are something else.
        """
        return cls.from_snapshot(snapshots.unpack("churn-scorer", SNAPSHOT_VERSION, data))

    def to_snapshot(self) -> dict[str, Any]:
        """Return the scorer as plain numbers and strings."""
        return {
            "version": self.version,
            "features": list(FEATURE_NAMES),
            "weights": self.weights.tolist(),
            "bias": self.bias,
            "center": self.center.tolist(),
            "threshold": self.threshold,
            "ready": self.ready,
            "card": dict(self.card),
            "horizon_ms": self.horizon_ms,
            "champion": self.champion,
            "rolled": None if self.rolled is None else self.rolled.to_snapshot(),
            "rolled_share": self.rolled_share,
            "bgnbd": None if self.bgnbd is None else self.bgnbd.to_snapshot(),
            "bgnbd_share": self.bgnbd_share,
        }

    @classmethod
    def from_snapshot(cls, content: Mapping[str, Any]) -> Self:
        """Return the scorer that `to_snapshot` described.

        Features go by their names: a new one has weight 0; one that is no longer computed counts as if every
        user had its mean.

        Raises
        ------
        CorruptStateError
            When it is something else.
        """
        with snapshots.reading("churn-scorer"):
            names = list(content["features"])
            weights = dict(zip(names, map(float, content["weights"]), strict=True))
            center = dict(zip(names, map(float, content["center"]), strict=True))
            gone = math.fsum(weights[name] * center[name] for name in names if name not in FEATURE_NAMES)
            rolled, bgnbd = content.get("rolled"), content.get("bgnbd")
            scorer = cls(
                version=int(content["version"]),
                weights=np.array([weights.get(name, 0.0) for name in FEATURE_NAMES]),
                bias=float(content["bias"]) + gone,
                center=np.array([center.get(name, 0.0) for name in FEATURE_NAMES]),
                threshold=float(content["threshold"]),
                ready=bool(content["ready"]),
                card=dict(content["card"]),
                horizon_ms=int(content.get("horizon_ms", 0)),
                champion=str(content.get("champion", "landmark")),
                rolled=None if rolled is None else RolledHazard.from_snapshot(rolled),
                rolled_share=float(content.get("rolled_share", 0.0)),
                bgnbd=None if bgnbd is None else BgNbdExpert.from_snapshot(bgnbd),
                bgnbd_share=float(content.get("bgnbd_share", 0.0)),
            )
        numbers = [scorer.bias, *scorer.center, scorer.threshold, scorer.rolled_share, scorer.bgnbd_share]
        more = [] if scorer.rolled is None else [*scorer.rolled.weights, scorer.rolled.bias]
        if not np.isfinite([*scorer.weights, *numbers, *more]).all():
            raise CorruptStateError("churn-scorer has weights that are no numbers")
        return scorer
