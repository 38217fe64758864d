"""A set of 64-bit hashes in one array."""

from typing import Final

import numpy as np
import numpy.typing as npt

from online_models.events import Int64s, UInt64s

Bools = npt.NDArray[np.bool_]

_FEWEST: Final = 1024
_SPARSE: Final = 16
"""Slots a hash from which on the array is made anew when hashes are removed."""


class HashSet:
    """A set of non-zero 64-bit hashes in one array, by open addressing, with vectorised verbs.

    A hash that is removed keeps its slot until the array is made anew, which happens once in many changes.

    Examples
    --------
    >>> known = HashSet()
    >>> known.add(np.array([5, 9, 7], dtype=np.uint64))
    >>> known.remove(np.array([7], dtype=np.uint64))
    >>> known.contains(np.array([9, 4, 7], dtype=np.uint64)).tolist(), len(known)
    ([True, False, False], 2)
    """

    def __init__(self) -> None:
        self._slots: UInt64s = np.zeros(_FEWEST, np.uint64)
        self._live = np.zeros(_FEWEST, np.bool_)
        self._size = self._used = 0

    def __len__(self) -> int:
        """Return the number of hashes."""
        return self._size

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays: 18 to 45 a hash, more for a while after many were removed."""
        return int(self._slots.nbytes + self._live.nbytes)

    def contains(self, hashes: UInt64s) -> Bools:
        """Return (n,) whether each hash is in the set."""
        places = self._find(hashes)
        return (places >= 0) & self._live[places]

    def add(self, hashes: UInt64s) -> None:
        """Add hashes that are distinct and not yet in the set."""
        self._size += hashes.size
        self._used += hashes.size
        if 2 * self._used > self._slots.size:
            self._renew()
        self._place(hashes)

    def remove(self, hashes: UInt64s) -> None:
        """Remove hashes; what is not in the set is left alone."""
        places = np.unique(self._find(hashes))
        places = places[(places >= 0) & self._live[places]]
        self._live[places] = False
        self._size -= places.size
        if self._slots.size > max(_FEWEST, _SPARSE * self._size):
            self._renew()

    def _renew(self) -> None:
        """Move what is in the set to an array in which at least a quarter more have room."""
        kept = self._slots[self._live]
        places = max(_FEWEST, 1 << (5 * self._size // 2).bit_length())
        self._slots, self._live = np.zeros(places, np.uint64), np.zeros(places, np.bool_)
        self._used = self._size
        self._place(kept)

    def _home(self, hashes: UInt64s) -> Int64s:
        # Fibonacci hashing: ids that are not random in their low bits still spread.
        spread = hashes * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)
        return (spread & np.uint64(self._slots.size - 1)).astype(np.int64)

    def _find(self, hashes: UInt64s) -> Int64s:
        """Return (n,) the slot of each hash, -1 where it has none."""
        found = np.full(hashes.size, -1)
        waiting = np.arange(hashes.size)
        places = self._home(hashes)
        while waiting.size:
            there = self._slots[places]
            hit = there == hashes[waiting]
            found[waiting[hit]] = places[hit]
            further = (there != 0) & ~hit
            waiting, places = waiting[further], (places[further] + 1) & (self._slots.size - 1)
        return found

    def _place(self, hashes: UInt64s) -> None:
        places = self._home(hashes)
        while hashes.size:
            free = self._slots[places] == 0
            self._slots[places[free]] = hashes[free]
            # Of several that met at a free slot one stays, and one that had the slot before; others go on.
            settled = self._slots[places] == hashes
            self._live[places[settled]] = True
            left = ~settled
            hashes, places = hashes[left], (places[left] + 1) & (self._slots.size - 1)
