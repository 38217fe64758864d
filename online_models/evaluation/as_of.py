"""Values as they stood at an earlier time, so that a prediction is judged with what was known then."""

from bisect import bisect_left
from typing import Generic, TypeVar

from online_models.errors import InvalidParameterError

Value = TypeVar("Value")


class AsOf(Generic[Value]):
    """A value that changes over event time and remembers what it was.

    Parameters
    ----------
    initial
        The value before the first change.

    Examples
    --------
    >>> rate = AsOf(0.5)
    >>> rate.set(10, 0.6)
    >>> rate.before(10), rate.before(11)
    (0.5, 0.6)
    """

    def __init__(self, initial: Value) -> None:
        self._times: list[int] = []
        self._values: list[Value] = [initial]

    @property
    def latest(self) -> Value:
        """The value now."""
        return self._values[-1]

    def set(self, time: int, value: Value) -> None:
        """Change the value at `time` (epoch milliseconds), which must not lie before the last change.

        Raises
        ------
        InvalidParameterError
            If `time` lies before the last change.
        """
        if self._times and time < self._times[-1]:
            raise InvalidParameterError(f"time must be at least {self._times[-1]}, got {time}")
        if self._times and time == self._times[-1]:
            self._values[-1] = value
            return
        self._times.append(time)
        self._values.append(value)

    def before(self, time: int) -> Value:
        """Return the value that the changes strictly before `time` left."""
        return self._values[bisect_left(self._times, time)]

    def forget_before(self, time: int) -> None:
        """Drop what only questions about times at or before `time` could need, to bound memory."""
        keep = max(0, bisect_left(self._times, time) - 1)
        del self._times[:keep], self._values[:keep]
