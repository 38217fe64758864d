"""Forward decay: new increments grow with time, so that what is stored need not be swept.

An increment at time t is ``2 ** (t / half_life - epoch)``, the epoch counted in whole half-lives. Rows move
to a later epoch by multiplying with a power of two, which is exact in floating point: a sum does not depend
on when, or whether, its row was moved.

References
----------
Cormode, Shkapenyuk, Srivastava, Xu: Forward decay: a practical time decay model for streaming systems, 2009.
"""

import math

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Int64s
from online_models.kernels import kernel


class ForwardDecay:
    """Epochs of one half-life.

    Parameters
    ----------
    half_life_ms
        Time in which a count halves, milliseconds.
    step
        Half-lives between two epochs; bounds the exponent of an increment.

    Examples
    --------
    >>> decay = ForwardDecay(1000, step=4)
    >>> decay.epochs(np.array([3500, 9000])).tolist()
    [0, 8]
    """

    def __init__(self, half_life_ms: int, *, step: int) -> None:
        if half_life_ms < 1:
            raise InvalidParameterError(f"half_life_ms must be at least 1, got {half_life_ms}")
        if step < 1:
            raise InvalidParameterError(f"step must be at least 1, got {step}")
        self.half_life_ms = half_life_ms
        self.step = step

    def epochs(self, latest_ms: Int64s) -> Int64s:
        """Return the epoch, in half-lives, of rows whose latest update was at `latest_ms` (n,)."""
        return latest_ms // self.span_ms * self.step

    @property
    def span_ms(self) -> int:
        """Time between two epochs, milliseconds."""
        return self.half_life_ms * self.step

    def instant(self, time_ms: float) -> float:
        """Return a time in half-lives; a count of an epoch is worth ``2 ** (epoch - instant)`` of itself."""
        return time_ms / self.half_life_ms


@kernel("f8(i8, i8, i8)")
def increment(time_ms: int, half_life_ms: int, epoch: int) -> float:
    """Return what one occurrence at a time adds to a count of an epoch.

    >>> increment(0, 1000, 0), increment(1000, 1000, 0), round(increment(2500, 1000, 0), 3)
    (1.0, 2.0, 5.657)
    """
    whole = time_ms // half_life_ms
    rest = np.float64(time_ms - whole * half_life_ms) / half_life_ms
    return math.ldexp(math.exp2(rest), whole - epoch)
