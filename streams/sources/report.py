"""What a reading of files came to: events, and the rows that held none, with where and why."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

EXAMPLES: Final = 3


@dataclass
class SourceReport:
    """Counts of one reading.

    Parameters
    ----------
    events
        Events read.
    skipped
        Rows that hold no event, by reason.
    examples
        The first few of each reason, as "file:line: message".
    """

    events: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, file: str, line: int, reason: str, message: str) -> None:
        """Count a row that holds no event."""
        self.skipped[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append(f"{file}:{line}: {message}")

    def lines(self) -> list[str]:
        """Return the skipped rows in words, most frequent reason first."""
        found = []
        for reason, count in self.skipped.most_common():
            found.append(f"{count:,} rows skipped: {reason}")
            found += [f"  {example}" for example in self.examples[reason]]
        return found
