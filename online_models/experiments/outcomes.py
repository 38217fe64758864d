"""What came of users in experiments, on its way to the one book that adds it up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np

from online_models import snapshots
from online_models.errors import CorruptStateError
from online_models.events import Floats, Int64s

MEASURES: Final = ("hit_rate", "clicked", "purchased")
"""What is measured of a user within the window, each from 0 to 1.

hit_rate
    Share of lists that held the next other item that the user touched; NaN where no list was followed by one.
clicked
    Whether the user selected or viewed an item that stood in the latest list.
purchased
    Whether the user bought anything.
"""

_KIND: Final = "experiment-outcomes"
_VERSION: Final = 1


class UserOutcome(NamedTuple):
    """What came of one user.

    Parameters
    ----------
    experiment, variant
        What the user saw.
    control
        Whether that is the variant which others are compared with.
    began_ms, ended_ms
        The window, epoch milliseconds.
    measures
        As in `MEASURES`.
    """

    experiment: str
    variant: str
    control: bool
    began_ms: int
    ended_ms: int
    measures: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ExperimentOutcomes:
    """Outcomes in the order in which they are to be added up, as columns.

    Parameters
    ----------
    experiment, variant
        n names.
    control
        (n,) 1 for the control, else 0.
    began_ms, ended_ms
        (n,) the windows, epoch milliseconds.
    measures
        (n, 3) as in `MEASURES`.
    """

    experiment: Sequence[str]
    variant: Sequence[str]
    control: Int64s
    began_ms: Int64s
    ended_ms: Int64s
    measures: Floats

    def __len__(self) -> int:
        """Return the number of outcomes."""
        return len(self.experiment)

    @classmethod
    def of(cls, outcomes: Sequence[UserOutcome]) -> Self:
        """Return outcomes as columns."""
        return cls(
            [one.experiment for one in outcomes],
            [one.variant for one in outcomes],
            np.array([one.control for one in outcomes], np.int64),
            np.array([one.began_ms for one in outcomes], np.int64),
            np.array([one.ended_ms for one in outcomes], np.int64),
            np.array([one.measures for one in outcomes], np.float64).reshape(-1, len(MEASURES)),
        )

    def pack(self) -> bytes:
        """Return the outcomes as bytes."""
        columns = {name: getattr(self, name) for name in ("control", "began_ms", "ended_ms", "measures")}
        names = {"experiment": list(self.experiment), "variant": list(self.variant)}
        return snapshots.pack(_KIND, _VERSION, names | columns)

    @classmethod
    def packed(cls, data: bytes) -> bool:
        """Return whether bytes are what `pack` wrote: outcomes and examples share one log."""
        return snapshots.kind_of(data) == _KIND

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the outcomes that `pack` wrote.

        Raises
        ------
        CorruptStateError
            When the bytes are something else.
        """
        content = snapshots.unpack(_KIND, _VERSION, data)
        with snapshots.reading(_KIND):
            found = cls(**content)
            count = len(found)
            lengths = {len(found.variant), found.control.size, found.began_ms.size, found.ended_ms.size}
            if lengths != {count} or found.measures.shape != (count, len(MEASURES)):
                raise CorruptStateError("outcomes of experiments have columns of several lengths")
            return found
