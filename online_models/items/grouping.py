"""Which entries speak of the same thing: distinct keys without sorting them."""

from typing import Final

import numpy as np

from online_models.events import Int64s
from online_models.items.source import Int32s

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
    number = np.arange(keys.size, dtype=np.int32)
    bits = keys.size.bit_length() + 1
    slots = np.empty(1 << bits, np.int32)
    last = _winners(keys, slots, _MULTIPLIER)
    left = np.flatnonzero(keys.take(last) != keys)
    multiplier = _MULTIPLIER
    while left.size:
        multiplier = (multiplier * _MULTIPLIER + 2) & _WORD
        wanted = keys.take(left)
        winner = _winners(wanted, slots, multiplier)
        last[left] = left.take(winner)
        left = left.take(np.flatnonzero(wanted.take(winner) != wanted))
    is_last = last == number
    return np.flatnonzero(is_last), (np.cumsum(is_last) - 1).take(last)


def _winners(keys: Int64s, slots: Int32s, multiplier: int) -> Int32s:
    """Let every entry write its number into its slot, and return the number that each finds there."""
    shift = np.uint64(65 - slots.size.bit_length())
    slot = ((keys.view(np.uint64) * np.uint64(multiplier)) >> shift).view(np.int64)
    # Of entries with the same slot the last one's number stays.
    slots[slot] = np.arange(keys.size, dtype=np.int32)
    return slots.take(slot)
