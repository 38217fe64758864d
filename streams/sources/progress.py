"""How far a feed has come, on standard error: a live line on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Self

from streams.sources.feed import Tally

_LINE_SECONDS: Final = 10.0
_LIVE_SECONDS: Final = 0.1

Share = Callable[[Tally], float | None]


def clock_text(time_ms: int) -> str:
    """Return an event time in words, "-" before the first.

    >>> clock_text(1_569_888_001_000), clock_text(-1)
    ('2019-10-01 00:00:01', '-')
    """
    if time_ms < 0:
        return "-"
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


class Progress:
    """Shows a tally, its rate and the event-time clock.

    Parameters
    ----------
    title
        What is being done.
    share
        Returns which part is done, 0 to 1; None where the end is not known.
    """

    def __init__(self, title: str, share: Share) -> None:
        self._title = title
        self._share = share
        self._started = time.monotonic()
        self._shown = self._started
        self._live: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._live = _live(self._title)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, tally: Tally) -> None:
        """Show how far the feed is; called as often as one likes."""
        now = time.monotonic()
        every = _LIVE_SECONDS if self._live is not None else _LINE_SECONDS
        if now - self._shown < every:
            return
        self._shown = now
        share = self._share(tally)
        figures = self._figures(tally, now)
        if self._live is not None:
            total = None if share is None else 1.0
            self._live.update(self._live.task_ids[0], completed=share or 0.0, total=total, figures=figures)
            return
        done = "" if share is None else f" {share:.0%},"
        sys.stderr.write(f"{self._title}:{done} {figures}\n")
        sys.stderr.flush()

    def _figures(self, tally: Tally, now: float) -> str:
        rate = tally.events / max(now - self._started, 1e-9)
        megabytes = tally.bytes / 1e6
        return (
            f"{tally.events:,} events, {rate:,.0f}/s, {megabytes:,.1f} MB,"
            f" event time {clock_text(tally.order.latest_ms)}"
        )


def _live(title: str) -> Any:
    from rich.console import Console  # noqa: PLC0415  # only a terminal needs it
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415  # same
    from rich.progress import Progress as Live  # noqa: PLC0415  # same

    live = Live(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
        console=Console(stderr=True),
        transient=True,
    )
    live.add_task(title, total=None, figures="")
    return live
