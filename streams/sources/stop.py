"""A polite end: the first Ctrl-C asks, the second one insists."""

import signal
from types import FrameType
from typing import Any, Self


class Stop:
    """Turns SIGINT and SIGTERM into a request to stop while it is entered.

    Work in hand is then finished and reported; a second signal raises `KeyboardInterrupt` at once.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
