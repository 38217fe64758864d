"""What the log still holds under a user's keys, judged record by record."""

from dataclasses import dataclass
from typing import Final, Literal

State = Literal["gone", "deleted", "replaced", "leaves", "stays", "present"]
"""``gone``: no record; ``deleted``: a tombstone stands, what lies before it goes when Kafka compacts;
``replaced``: so too, and something new has begun since; ``leaves``: by retention; ``stays``: no end is set;
``present``: not erased."""

FAILED: Final = "present"


@dataclass
class Trace:
    """The records under one key, taken in in log order.

    Parameters
    ----------
    key
        Their key.
    since
        Offset from which on records were written after the erasure was asked for.

    Attributes
    ----------
    newer
        Records with a value behind the last tombstone, or in all.
    """

    key: bytes
    since: int
    newer: int = 0
    _last: int = -1
    _deleted: int = -1

    def see(self, offset: int, value: bytes | None) -> None:
        """Take in the next record under the key."""
        self._last = offset
        if value is None:
            self._deleted, self.newer = offset, 0
        else:
            self.newer += 1

    def state(self, erased_from: int | None = None) -> State:
        """Return what became of the key.

        Parameters
        ----------
        erased_from
            Offset from which on a record shows the state after the erasure, where that is known: a user who
            was erased and came back between two checkpoints has a new row and no tombstone.

        Examples
        --------
        >>> trace = Trace(b"u:ann", since=10)
        >>> trace.state()
        'gone'
        >>> trace.see(3, b"row")
        >>> trace.state()
        'present'
        >>> trace.see(12, None)
        >>> trace.state()
        'deleted'
        >>> trace.see(15, b"row of a new profile")
        >>> trace.state()
        'replaced'
        """
        if self._last < 0:
            return "gone"
        if self._last == self._deleted:
            return "deleted"
        written_after = erased_from is not None and self._last >= erased_from
        return "replaced" if written_after or self._deleted >= self.since else FAILED
