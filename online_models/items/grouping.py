"""Which entries speak of the same thing: distinct keys without sorting them."""

from typing import Final

import numpy as np

from online_models.events import Int64s

_MULTIPLIER: Final = 0x9E3779B97F4A7C15
_WORD: Final = (1 << 64) - 1


def distinct(keys: Int64s) -> tuple[Int64s, Int64s]:
    """Return the last entry of every distinct key, ascending, and (n,) to which of these each entry belongs.

    Every entry writes its number into a hashed slot and reads there who wrote last; those that find another
    key try again with another hash. This takes a fraction of the time of sorting.

    Parameters
    ----------
    keys
        (n,) keys.

    Examples
    --------
    >>> last, group = distinct(np.array([7, 5, 7, 9]))
    >>> last.tolist(), group.tolist()
    ([1, 2, 3], [1, 0, 1, 2])
    """
    last = np.empty(keys.size, np.int64)
    bits = keys.size.bit_length() + 1
    slots = np.empty(1 << bits, np.int32)
    left, wanted, multiplier = np.arange(keys.size), keys, _MULTIPLIER
    while left.size:
        slot = (wanted.view(np.uint64) * np.uint64(multiplier)) >> np.uint64(64 - bits)
        # Of entries with the same slot the last one's number stays.
        slots[slot] = np.arange(left.size, dtype=np.int32)
        winner = slots[slot]
        same = wanted[winner] == wanted
        last[left[same]] = left[winner[same]]
        left, wanted = left[~same], wanted[~same]
        multiplier = (multiplier * _MULTIPLIER + 2) & _WORD
    is_last = last == np.arange(keys.size)
    return np.flatnonzero(is_last), (np.cumsum(is_last) - 1)[last]
