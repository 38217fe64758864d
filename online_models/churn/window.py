"""The latest probabilities and outcomes of a model, saved in small rows."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.churn.settings import DAY_MS
from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.evaluation import classification

_ROW: Final = 256
_DTYPE: Final = np.dtype([("time_ms", "<i8"), ("probability", "<f8"), ("label", "i1")])


class RecentOutcomes:
    """A ring of (time, probability before learning, label), newest over oldest.

    Parameters
    ----------
    size
        How many to keep; a multiple of 256.

    Attributes
    ----------
    count
        How many came in all; part of the owner's state.

    Raises
    ------
    InvalidParameterError
        When `size` is no positive multiple of 256.
    """

    def __init__(self, size: int = 4096) -> None:
        if size < 1 or size % _ROW:
            raise InvalidParameterError(f"size must be a positive multiple of {_ROW}, got {size}")
        self.size = size
        self.count = 0
        self._ring: npt.NDArray[Any] = np.zeros(size, _DTYPE)
        self._dirty: set[int] = set()
        self._loaded: dict[int, bytes] = {}

    def add(self, time_ms: int, probability: float, label: int) -> None:
        """Take in an outcome."""
        place = self.count % self.size
        self._ring[place] = (time_ms, probability, label)
        self._dirty.add(place // _ROW)
        self.count += 1

    def measures(self) -> dict[str, float]:
        """Return the exact measures of the window, and what always saying its base rate would cost.

        Undefined measures are left out.
        """
        kept = self._ring[: self.count]
        labels, probability = kept["label"], kept["probability"]
        if not labels.size:
            return {}
        rate = float(labels.mean())
        found = {
            "auc": classification.auc(labels, probability),
            "log_loss": classification.log_loss(labels, probability),
            "log_loss_base_rate": classification.log_loss(labels, np.full(labels.size, rate)),
            "brier": classification.brier(labels, probability),
            "calibration_error": classification.calibration_error(labels, probability),
            "base_rate": rate,
            "window": float(labels.size),
        }
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def threshold_for(self, per_day: float) -> float:
        """Return the probability that about `per_day` of the window's examples a day reach; 1 for none.

        Parameters
        ----------
        per_day
            Wanted number a day of the time the window spans.
        """
        kept = self._ring[: self.count]
        if not kept.size:
            return 1.0
        span = int(kept["time_ms"].max() - kept["time_ms"].min())
        wanted = int(per_day * max(span, DAY_MS) / DAY_MS)
        if wanted >= kept.size:
            return 0.0
        ordered = np.sort(kept["probability"])[::-1]
        # Halfway between the last within the budget and the first beyond it.
        return float((ordered[wanted - 1] + ordered[wanted]) / 2) if wanted else 1.0

    def dirty_rows(self, prefix: bytes) -> list[tuple[bytes, bytes | None]]:
        """Return the changed rows, their keys behind a prefix."""
        changed: list[tuple[bytes, bytes | None]] = []
        for number in sorted(self._dirty):
            part = self._ring[number * _ROW : (number + 1) * _ROW]
            changed.append((prefix + str(number).encode(), part.tobytes()))
        self._dirty.clear()
        return changed

    def restore(self, number: bytes, value: bytes | None) -> None:
        """Load a row as `dirty_rows` returns it; call `restored` after the last.

        Parameters
        ----------
        number
            Its key behind the prefix.
        value
            Its bytes.

        Raises
        ------
        CorruptStateError
            When it is something else.
        """
        if not number.isdigit() or value is None or len(value) != _ROW * _DTYPE.itemsize:
            raise CorruptStateError(f"{len(value or b'')} bytes are no row of a window of outcomes")
        self._loaded[int(number)] = value

    def restored(self, count: int, size: int) -> None:
        """Finish loading. A ring saved with another size is not taken over: it fills again soon.

        Parameters
        ----------
        count, size
            As they were when the rows were saved.
        """
        loaded, self._loaded = self._loaded, {}
        if size != self.size:
            return
        self.count = count
        for number in range(self.size // _ROW):
            value = loaded.get(number, bytes(_ROW * _DTYPE.itemsize))
            self._ring[number * _ROW : (number + 1) * _ROW] = np.frombuffer(value, _DTYPE)
