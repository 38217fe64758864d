"""Under which name a worker writes its transactions: one for good, or a new one for every producer."""

import logging
import uuid
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)


class Names(NamedTuple):
    """What a producer starts with.

    Parameters
    ----------
    left
        The name under which a transaction may still be open, to be settled first; None where `own` does that.
    own
        The name of the producer.
    """

    left: str | None
    own: str


class TransactionalId:
    """The transactional id of one worker.

    A broker should name aborted transactions only to readers of their records. The embedded one names them to
    everybody who reads on behind them too, and Kafka's clients then drop all that the same producer wrote
    since. A producer with a name of its own has written nothing else, so nothing is dropped.

    Parameters
    ----------
    stable
        The name for good: its next holder ends what the one before left open.
    file
        Where the last of the changing names is kept; None forgets it with the process, and what was left open
        under it ends with its timeout.

    Attributes
    ----------
    changing
        Whether every producer gets a new name.

    Examples
    --------
    >>> name = TransactionalId("shop-w1")
    >>> name.next()
    Names(left=None, own='shop-w1')
    >>> name.changing = True
    >>> first, second = name.next(), name.next()
    >>> first.left, second.left == first.own, first.own == second.own
    ('shop-w1', True, False)
    """

    def __init__(self, stable: str, file: Path | None = None) -> None:
        self.stable = stable
        self.changing = False
        self._file = file
        self._last = stable

    def next(self) -> Names:
        """Return the names for the next producer."""
        if not self.changing:
            return Names(None, self.stable)
        left = self._read()
        own = f"{self.stable}-{uuid.uuid4().hex}"
        self._last = own
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".new")
            fresh.write_text(own, encoding="utf-8")
            fresh.replace(self._file)
        return Names(left, own)

    def _read(self) -> str:
        if self._file is None:
            return self._last
        try:
            kept = self._file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return self._last
        return kept if kept.startswith(self.stable) else self._last
