"""A set of 64-bit hashes in one array."""

import numpy as np

from online_models.events import Int64s, UInt64s


class HashSet:
    """A set of non-zero 64-bit hashes in one array, by open addressing, with vectorised verbs.

    Examples
    --------
    >>> known = HashSet()
    >>> known.add(np.array([5, 9], dtype=np.uint64))
    >>> known.contains(np.array([9, 4], dtype=np.uint64)).tolist()
    [True, False]
    """

    def __init__(self) -> None:
        self._slots: UInt64s = np.zeros(1024, np.uint64)
        self._size = 0

    def __len__(self) -> int:
        """Return the number of hashes."""
        return self._size

    @property
    def nbytes(self) -> int:
        """Bytes of the array: 16 to 32 a hash."""
        return int(self._slots.nbytes)

    def contains(self, hashes: UInt64s) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return (n,) whether each hash is in the set."""
        found = np.zeros(hashes.size, np.bool_)
        waiting = np.arange(hashes.size)
        places = self._home(hashes)
        while waiting.size:
            there = self._slots[places]
            found[waiting] = there == hashes[waiting]
            further = (there != 0) & ~found[waiting]
            waiting, places = waiting[further], (places[further] + 1) & (self._slots.size - 1)
        return found

    def add(self, hashes: UInt64s) -> None:
        """Add hashes that are distinct and not yet in the set."""
        self._size += hashes.size
        if 2 * self._size > self._slots.size:
            kept = self._slots[self._slots != 0]
            self._slots = np.zeros(1 << (2 * self._size).bit_length(), np.uint64)
            self._place(kept)
        self._place(hashes)

    def _home(self, hashes: UInt64s) -> Int64s:
        # Fibonacci hashing: ids that are not random in their low bits still spread.
        spread = hashes * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)
        return (spread & np.uint64(self._slots.size - 1)).astype(np.int64)

    def _place(self, hashes: UInt64s) -> None:
        places = self._home(hashes)
        while hashes.size:
            free = self._slots[places] == 0
            self._slots[places[free]] = hashes[free]
            # Of several that met at a free slot one stays; the others go on.
            left = self._slots[places] != hashes
            hashes, places = hashes[left], (places[left] + 1) & (self._slots.size - 1)
