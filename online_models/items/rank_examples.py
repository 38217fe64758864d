"""Labelled sets of candidates: what was offered just before a touch, and which of it was touched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from online_models import snapshots
from online_models.errors import CorruptStateError
from online_models.events import Int64s
from online_models.items.candidates import Candidates
from online_models.items.features import RANK_FEATURES
from online_models.items.histories import TouchContexts
from online_models.items.pairs import Floats32
from online_models.items.recommender import Recommender
from online_models.items.source import NeighbourSource

Floats16 = npt.NDArray[np.float16]

VERSION: Final = 1
_KIND: Final = "rank-examples"
_CHUNK: Final = 64
_EXPONENT: Final = np.uint16(0x7C00)


@dataclass(frozen=True, slots=True)
class RankExamples:
    """Sets of candidates in the order in which they are to be learned, as columns.

    They say nothing of users or items: features and places only.

    Parameters
    ----------
    start
        (n + 1,) the candidates of set i are ``start[i]:start[i + 1]``.
    target
        (n,) which of its candidates was touched, counted within the set; -1 where none of them was.
    time_ms
        (n,) event time of the touch, epoch milliseconds.
    features
        (c, f) in the order of `RANK_FEATURES`, in half precision: what is learned from is what travels.
    shown_at
        (n,) the touched item's place, from 1, in the list that was shown before; 0 where it was in none.
    """

    start: Int64s
    target: Int64s
    time_ms: Int64s
    features: Floats16
    shown_at: Int64s

    def __len__(self) -> int:
        """Return the number of sets."""
        return self.target.size

    def sets(self) -> Iterator[tuple[Floats32, int, int]]:
        """Yield the features of every set with its target, and the place at which that was shown."""
        bounds = pairwise(self.start.tolist())
        columns = zip(bounds, self.target.tolist(), self.shown_at.tolist(), strict=True)
        for (begin, end), target, shown_at in columns:
            yield self.features[begin:end].astype(np.float32), target, shown_at

    def take(self, begin: int, end: int) -> Self:
        """Return a stretch of the sets."""
        first, last = int(self.start[begin]), int(self.start[end])
        return type(self)(
            self.start[begin : end + 1] - first,
            self.target[begin:end],
            self.time_ms[begin:end],
            self.features[first:last],
            self.shown_at[begin:end],
        )

    def pack(self) -> bytes:
        """Return the sets as bytes."""
        columns = {
            "names": list(RANK_FEATURES),
            "start": self.start,
            "target": self.target,
            "time_ms": self.time_ms,
            "features": self.features.astype(np.float16, copy=False),
            "shown_at": self.shown_at,
        }
        return snapshots.pack(_KIND, VERSION, columns)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the sets that `pack` wrote; features go by their names, a new one is 0.

        Raises
        ------
        CorruptStateError
            When the bytes are something else.
        """
        content = snapshots.unpack(_KIND, VERSION, data)
        with snapshots.reading(_KIND):
            names: list[str] = content["names"]
            given: Any = content["features"]
            start, target = content["start"], content["target"]
            features = np.asarray(given, np.float16)
            if names != list(RANK_FEATURES):
                features = np.zeros((len(given), len(RANK_FEATURES)), np.float16)
                for column, name in enumerate(names):
                    if name in RANK_FEATURES:
                        features[:, RANK_FEATURES.index(name)] = given[:, column]
            # Releases before lists were followed did not say where a touched item had stood.
            shown_at = content.get("shown_at", np.zeros(target.size, np.int64))
            found = cls(start, target, content["time_ms"], features, shown_at)
        sizes = np.diff(start)
        if start.size != target.size + 1 or (sizes < 0).any() or start[-1] != len(features):
            raise CorruptStateError(f"{_KIND} has sets that are no stretches of its candidates")
        if (target >= sizes).any() or not _finite(features):
            raise CorruptStateError(f"{_KIND} has targets or features that are none")
        if shown_at.shape != target.shape or (shown_at < 0).any():
            raise CorruptStateError(f"{_KIND} has places in lists that are none")
        return found

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> "RankExamples":
        """Return several batches as one, in order."""
        if len(parts) == 1:
            return parts[0]
        sizes = np.concatenate([np.zeros(0, np.int64), *(np.diff(part.start) for part in parts)])
        none = np.zeros(0, np.int64)
        return cls(
            np.concatenate(([0], np.cumsum(sizes))),
            np.concatenate([none, *(part.target for part in parts)]),
            np.concatenate([none, *(part.time_ms for part in parts)]),
            np.concatenate([np.zeros((0, len(RANK_FEATURES)), np.float16), *(p.features for p in parts)]),
            np.concatenate([none, *(part.shown_at for part in parts)]),
        )


def _finite(features: Floats16) -> bool:
    """Return whether no feature is infinite or no number: all bits of its exponent are set then."""
    bits = np.ascontiguousarray(features).view(np.uint16) & _EXPONENT
    return not (bits == _EXPONENT).any()


def label(found: Candidates, touches: TouchContexts, source: NeighbourSource) -> RankExamples:
    """Return candidates of n touches as sets with the touched items as targets.

    Parameters
    ----------
    found
        The candidates, gathered just before the touches.
    touches
        The touches, with what is known of them.
    source
        Where the rows belong.
    """
    wanted = source.rows_of(touches.item)
    hit = np.flatnonzero((found.row == wanted[found.user]) & (found.row >= 0))
    target = np.full(len(touches), -1)
    target[found.user[hit]] = hit - found.start[found.user[hit]]
    features = found.features.astype(np.float16)
    return RankExamples(found.start, target, touches.time_ms, features, touches.shown_at)


def examples_of(contexts: TouchContexts, recommender: Recommender, source: NeighbourSource) -> RankExamples:
    """Return the sets of touches: the candidates by what was known of the users just before.

    Parameters
    ----------
    contexts
        The touches.
    recommender, source
        What gathers candidates, and where from.
    """
    parts = []
    for begin in range(0, len(contexts), _CHUNK):
        part = contexts.take(slice(begin, begin + _CHUNK))
        # One moment for all: weights and popularity fade by hours, not by the seconds of a batch.
        found = recommender.candidates(part.histories, source, int(part.time_ms.max()))
        parts.append(label(found, part, source))
    return RankExamples.concat(parts)
