"""The blend of the churn models: all are judged, and blended, by what they would have said at the landmark.

A label is known a horizon after its landmark. By then a model has learned the labels of the user's own
earlier weeks, which overlap with this one, so what it says now flatters it, the quick one most. Judged is
therefore what the models said when the landmark was made, for which they are kept as they were.

The blend scores, always. To let the best of the past score instead was tried: by the time that labels show
who was best, a horizon has passed, and it often no longer is. It gained nothing on any log we measured.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from online_models import snapshots
from online_models.churn.experts import BLEND, BLEND_INPUTS, CANDIDATES, EXPERTS, Experts
from online_models.churn.features import Features32
from online_models.churn.recursive import RecursiveLogistic
from online_models.churn.window import RecentOutcomes
from online_models.errors import CorruptStateError
from online_models.events import Floats

KEPT_ROW: Final = b"\0experts"
_VERSION: Final = 1

_PARTS: Final = 16
"""Models are kept so many times per horizon."""
_MOST_KEPT: Final = 24
_LEAST_JUDGED: Final = 1_000
_SHARE_VARIANCE: Final = 1e-3
_CONSTANT_VARIANCE: Final = 1e-2


class Contest:
    """Judges the candidates and blends the experts.

    Parameters
    ----------
    horizon_ms
        Horizon of the labels.
    settle_ms
        Models are kept from so long after the first label on: until then they are not worth judging.
    window
        Outcomes kept for the measures of each candidate; a multiple of 256.
    part
        How much of a label each counts for the blend: labels of one user ask for the same days.

    Attributes
    ----------
    champion
        The candidate that scores: the blend, at first of equal parts. Only in a state of a release that knew
        one expert does that one score until the others have been judged over a horizon.
    blend
        The logistic regression over the experts' log-odds.
    """

    def __init__(self, horizon_ms: int, settle_ms: int, window: int, part: float = 1.0) -> None:
        self.champion: str = BLEND
        self.windows = {name: RecentOutcomes(window) for name in CANDIDATES}
        self.blend = _fresh_blend()
        self._horizon_ms, self._settle_ms = horizon_ms, settle_ms
        self._part = part
        self._span_ms = max(horizon_ms // _PARTS, 1)
        self._kept: list[tuple[int, Experts]] = []
        self._first_ms = self._first_judged_ms = -1
        self._judged = 0
        self._dirty = False

    def due(self, now_ms: int) -> bool:
        """Return whether the models are to be kept as they are now."""
        self._first_ms = now_ms if self._first_ms < 0 else self._first_ms
        if now_ms - self._first_ms < self._settle_ms:
            return False
        return not self._kept or now_ms - self._kept[-1][0] >= self._span_ms

    def keep(self, now_ms: int, landmark_ms: int, experts: Experts) -> None:
        """Keep the models as they are.

        Parameters
        ----------
        now_ms
            Time at which the latest label became known.
        landmark_ms
            Its landmark: models that only older landmarks could ask for are dropped.
        experts
            The models.
        """
        self._kept.append((now_ms, experts))
        needed = max((place for place, (at, _) in enumerate(self._kept) if at <= landmark_ms), default=0)
        del self._kept[: max(needed, len(self._kept) - _MOST_KEPT)]
        self._dirty = True

    def judge(self, x: Features32, steps: Floats, landmark_ms: int, label: int) -> float | None:
        """Judge all candidates by a label, and let the blend learn it.

        Parameters
        ----------
        x
            (F,) features at the landmark.
        steps
            (k, 1, F) the same aged.
        landmark_ms, label
            Time of the landmark, and 1 where no activity followed.

        Returns
        -------
        float | None
            The probability that the champion of that time gave; None where none was kept.
        """
        experts = next((kept for at, kept in reversed(self._kept) if at <= landmark_ms), None)
        if experts is None:
            return None
        log_odds = experts.log_odds(x[None, :], steps)[0]
        chances = 1 / (1 + np.exp(-np.clip(log_odds, -30.0, 30.0)))
        for window, chance in zip(self.windows.values(), chances.tolist(), strict=True):
            window.add(landmark_ms, chance, label)
        self._first_judged_ms = landmark_ms if self._first_judged_ms < 0 else self._first_judged_ms
        self._judged += 1
        if self._judged >= _LEAST_JUDGED and landmark_ms - self._first_judged_ms >= self._horizon_ms:
            self.champion = BLEND
        self.blend.learn_one(np.append(log_odds[: len(EXPERTS)], 1.0), label, self._part)
        return float(chances[CANDIDATES.index(experts.champion)])

    def start_anew(self) -> None:
        """Forget everything: the labels ask another question from now on."""
        size = next(iter(self.windows.values())).size
        self.windows = {name: RecentOutcomes(size) for name in CANDIDATES}
        self.champion, self.blend, self._kept = BLEND, _fresh_blend(), []
        self._judged = 0
        self._first_ms = self._first_judged_ms = -1
        self._dirty = True

    def card(self) -> dict[str, float]:
        """Return the measures of the candidates, names behind theirs, and who is champion."""
        card: dict[str, float] = {}
        for name, window in self.windows.items():
            measures = {"champion": float(name == self.champion), **window.measures()}
            card |= {f"{name}_{measure}": value for measure, value in measures.items()}
        for name, share in zip(EXPERTS, self.blend.weights.tolist(), strict=False):
            card[f"{name}_share"] = share
        return card

    def state(self) -> dict[str, Any]:
        """Return what changes with every label, as plain numbers and strings."""
        return {
            "champion": self.champion,
            "blend": self.blend.state(),
            "judged": self._judged,
            "first_ms": self._first_ms,
            "first_judged_ms": self._first_judged_ms,
            "outcomes": {name: [window.count, window.size] for name, window in self.windows.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
        """Take over what `state` described, and return the counts of the windows for when they are loaded."""
        self.champion = str(state["champion"])
        if self.champion not in CANDIDATES:
            raise CorruptStateError(f"champion is {self.champion!r}, not one of {CANDIDATES}")
        self.blend.restore(state["blend"])
        # An expert that is new begins with no share: those of the others add up to one already.
        for place, name in enumerate(BLEND_INPUTS):
            if name not in state["blend"]["names"]:
                self.blend.weights[place] = 0.0
        self._judged = int(state["judged"])
        self._first_ms, self._first_judged_ms = int(state["first_ms"]), int(state["first_judged_ms"])
        return {name: (int(count), int(size)) for name, (count, size) in state["outcomes"].items()}

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the row of the kept models where it changed."""
        if not self._dirty:
            return []
        self._dirty = False
        kept = [{"at_ms": at, **experts.to_snapshot()} for at, experts in self._kept]
        return [(KEPT_ROW, snapshots.pack("experts", _VERSION, {"kept": kept}))]

    def restore_kept(self, data: bytes) -> None:
        """Load the row of the kept models.

        Raises
        ------
        CorruptStateError
            When it is something else.
        """
        content = snapshots.unpack("experts", _VERSION, data)
        with snapshots.reading("experts"):
            self._kept = [(int(one["at_ms"]), Experts.from_snapshot(one)) for one in content["kept"]]


def _fresh_blend() -> RecursiveLogistic:
    count = len(EXPERTS)
    return RecursiveLogistic(
        BLEND_INPUTS,
        variance=np.array([_SHARE_VARIANCE] * count + [_CONSTANT_VARIANCE]),
        mean=np.array([1 / count] * count + [0.0]),
        noise=0.0,
    )
