"""Dead letters: choosing among them, reading them, and sending them to the event topic again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from streams.cluster import Cluster
from streams.encode import NULLS, DeadLetter, Headers, read_dead_letter
from streams.errors import TopicsError
from streams.excerpt import Place, Stretch, excerpt
from streams.follow import Followed
from streams.settings import Settings
from streams.topics import DEAD_LETTERS

REPLAYED: Final = "replay.letter"
"""Header of an event that was sent again: the dead letter that it was, as partition@offset."""

REPLAYED_AT: Final = "replay.time"
"""Header with the time of sending it again, epoch milliseconds."""

_OURS: Final = ("error.", "replay.")
UNKNOWN: Final = "unknown"
"""Reason of a record that somebody else has written into the topic."""


class Letter(NamedTuple):
    """A record of the dead-letter topic.

    Parameters
    ----------
    record
        As it lies there.
    said
        Why it was rejected; None for a record that is no dead letter of ours.
    """

    record: Followed
    said: DeadLetter | None

    @property
    def key(self) -> bytes | None:
        """The event's key."""
        return None if "key" in self._nulls else self.record.key

    @property
    def value(self) -> bytes | None:
        """The event's value."""
        return None if "value" in self._nulls else self.record.value

    @property
    def _nulls(self) -> list[str]:
        """What of the event was null: the letter has empty bytes there."""
        said = next(((v or b"") for n, v in self.record.headers if n == NULLS), b"")
        return said.decode(errors="replace").split(",")

    @property
    def place(self) -> str:
        """Partition and offset in the dead-letter topic, as commands take them."""
        return f"{self.record.partition}@{self.record.offset}"

    @property
    def reason(self) -> str:
        """Why it was rejected."""
        return self.said.reason if self.said else UNKNOWN

    @property
    def replay_of(self) -> str:
        """Place of the letter whose replay was rejected and became this one; empty for a first rejection."""
        return next(
            ((v or b"").decode(errors="replace") for n, v in self.record.headers if n == REPLAYED), ""
        )


@dataclass(frozen=True)
class Choice:
    """Which dead letters are meant; all of them where nothing is set.

    Parameters
    ----------
    reasons
        Only these.
    partition
        Of the dead-letter topic.
    offsets
        In that partition; needs one.
    since_ms
        Rejected then or later, epoch milliseconds.
    """

    reasons: frozenset[str] = frozenset()
    partition: int | None = None
    offsets: frozenset[int] = frozenset()
    since_ms: int | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Choice()

    def takes(self, letter: Letter) -> bool:
        """Return whether a letter is meant."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.offsets or letter.record.offset in self.offsets)
            and (self.since_ms is None or letter.record.timestamp >= self.since_ms)
        )


class DeadLetters:
    """The dead-letter topic as it was when it was looked at: what comes later is not read.

    Parameters
    ----------
    settings
        Where the broker is.
    choice
        Which letters are meant.

    Raises
    ------
    TopicsError
        If the topic or the partition is missing.
    """

    def __init__(self, settings: Settings, choice: Choice) -> None:
        self._settings, self._choice = settings, choice
        self._stretches = self._bounds()

    @property
    def offsets(self) -> int:
        """How many offsets have to be read, for showing progress."""
        return sum(stretch.end - stretch.start for stretch in self._stretches.values())

    def __iter__(self) -> Iterator[Letter]:
        """Yield the letters that are meant, in order of their offsets within a partition."""
        return (letter for letter in self.all() if self._choice.takes(letter))

    def all(self) -> Iterator[Letter]:
        """Yield every letter of the partitions and times that are meant."""
        for record in excerpt(self._settings, self._stretches):
            if record.value is not None:  # else the tombstone of an erased user's letters
                yield Letter(record, read_dead_letter(record.headers))

    def _bounds(self) -> Mapping[Place, Stretch]:
        topic, choice = DEAD_LETTERS.full_name(self._settings), self._choice
        with Cluster(self._settings) as cluster:
            places = list(cluster.copies([topic]))
            if not places:
                raise TopicsError(f"the broker has no topic {topic}; `keepstream topics create` makes it")
            if choice.partition is not None:
                places = [place for place in places if place.partition == choice.partition]
            if not places:
                raise TopicsError(f"{topic} has no partition {choice.partition}")
            if choice.since_ms is not None:
                return cluster.since(places, choice.since_ms)
            whole = cluster.stretches(places)
        if not choice.offsets:
            return whole
        first, last = min(choice.offsets), max(choice.offsets)
        return {
            place: Stretch(max(start, first), min(end, last + 1)) for place, (start, end) in whole.items()
        }


def outdated(letters: DeadLetters) -> set[str]:
    """Return the places of letters that were sent and rejected again: a later letter stands for each."""
    return {letter.replay_of for letter in letters.all()} - {""}


def headers_again(letter: Letter, now_ms: int) -> Headers:
    """Return the headers of the event when it is sent again: its own, and marks of the replay.

    Parameters
    ----------
    letter
        The letter to be sent again.
    now_ms
        The present time, epoch milliseconds.
    """
    kept: Headers = [(name, value) for name, value in letter.record.headers if not name.startswith(_OURS)]
    return [*kept, (REPLAYED, letter.place.encode()), (REPLAYED_AT, b"%d" % now_ms)]


def partition_again(letter: Letter, partitions: int) -> int:
    """Return where the event lay, and belongs again: there is the state of its user; -1 leaves it to the key.

    Parameters
    ----------
    letter
        The letter to be sent again.
    partitions
        How many partitions the event topic has.
    """
    said = letter.said
    return said.partition if said is not None and 0 <= said.partition < partitions else -1
