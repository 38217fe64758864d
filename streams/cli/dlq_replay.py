"""The work of `keepstream dlq replay`: a first pass finds out what to send, a second one sends it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import typer

from streams import topics
from streams.dead_letters import Choice, DeadLetters, Letter, headers_again, outdated, partition_again
from streams.errors import BrokerUnavailableError
from streams.settings import Settings

Progress = Callable[[DeadLetters], AbstractContextManager[Callable[[Letter], None]]]


@dataclass
class Summary:
    """What was sent, or would be; letters that were left out by cause.

    Parameters
    ----------
    topic
        Where to.
    dry_run
        Whether nothing was really sent.
    """

    topic: str
    dry_run: bool
    by_reason: Counter[str] = field(default_factory=Counter)
    outdated: int = 0
    foreign: int = 0
    too_large: int = 0
    stopped: bool = False

    @property
    def sent(self) -> int:
        """Letters sent."""
        return self.by_reason.total() - self.too_large

    def as_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "topic": self.topic,
            "dry_run": self.dry_run,
            "sent": self.sent,
            "by_reason": dict(self.by_reason.most_common()),
            "outdated": self.outdated,
            "foreign": self.foreign,
            "too_large": self.too_large,
            "stopped": self.stopped,
        }


class Replay:
    """Sends chosen letters again.

    Parameters
    ----------
    settings
        Where the broker is.
    choice
        Which letters.
    limit
        How many at most; None for all.
    progress
        Shows how far the reading is.
    """

    def __init__(self, settings: Settings, choice: Choice, *, limit: int | None, progress: Progress) -> None:
        self._settings, self._choice, self._limit, self._progress = settings, choice, limit, progress
        self._letters = DeadLetters(settings, choice)

    def rehearse(self) -> Summary:
        """Return what would be sent."""
        summary = self._summary(dry_run=True)
        for letter in self._to_send(summary):
            summary.by_reason[letter.reason] += 1
        return summary

    def send(self) -> Summary:
        """Send the letters, and return when the broker has confirmed them.

        Raises
        ------
        BrokerUnavailableError
            If the broker did not take them; the message says how many had arrived.
        """
        from streams.sources.sender import EventSender
        from streams.sources.stop import Stop

        summary = self._summary(dry_run=False)
        existing = topics.list_existing(self._settings)
        partitions = topics.partition_count(topics.EVENTS, self._settings, existing)
        with Stop() as stop:
            sender = EventSender(self._settings, stop, lambda text: typer.echo(text, err=True))
            now_ms = time.time_ns() // 1_000_000
            for letter in self._to_send(summary):
                if stop.requested:
                    break
                summary.by_reason[letter.reason] += 1
                sender.send_raw(
                    letter.key,
                    letter.value,
                    partition=partition_again(letter, partitions),
                    headers=headers_again(letter, now_ms),
                )
            left = sender.finish()
            summary.too_large, summary.stopped = sender.too_large, stop.requested
        if left:
            raise BrokerUnavailableError(
                f"{left:,} of {summary.sent:,} letters were not confirmed; try again"
            )
        return summary

    def _summary(self, *, dry_run: bool) -> Summary:
        return Summary(topics.EVENTS.full_name(self._settings), dry_run)

    def _to_send(self, summary: Summary) -> Iterator[Letter]:
        """Yield the letters that are to be sent, and count those that are not."""
        # Whoever names a letter by its place means that one.
        old = set() if self._choice.offsets else outdated(self._letters)

        def chosen() -> Iterator[Letter]:
            with self._progress(self._letters) as step:
                for letter in self._letters:
                    step(letter)
                    if letter.said is None:
                        summary.foreign += 1
                    elif letter.place in old:
                        summary.outdated += 1
                    else:
                        yield letter

        return islice(chosen(), self._limit)
