"""How much a touch counts that a list may have brought about: the guard against learning one's own lists.

An item that stands in a list is touched more often than it would be elsewhere, the more so the higher it
stands. Who learns from such touches as from all others learns the lists that were made before.
"""

import math
from typing import Final

LIFT: Final = 1.0


def examination(place: int) -> float:
    """Return the chance, relative to the first place, that the place of a list is looked at.

    Parameters
    ----------
    place
        From 1.

    >>> [round(examination(place), 2) for place in (1, 2, 3, 20)]
    [1.0, 0.63, 0.5, 0.23]
    """
    return 1.0 / math.log2(1.0 + place)


def weight(place: int, lift: float = LIFT) -> float:
    """Return what a touch counts: one over the factor by which the list made it more frequent [1]_.

    An item at a place is taken to be touched ``1 + lift * examination(place)`` times as often as it would
    be in no list. The weight lies between ``1 / (1 + lift)`` and 1, so nothing has to be clipped.

    Parameters
    ----------
    place
        Where the item stood in the list that was shown, from 1; 0 where it stood in none.
    lift
        How many times as often an item is touched, on top, because it stands first.

    References
    ----------
    .. [1] Joachims, Swaminathan, Schnabel, 2017. Unbiased learning-to-rank with biased feedback.

    >>> [round(weight(place, lift=1.0), 2) for place in (0, 1, 2, 20)]
    [1.0, 0.5, 0.61, 0.81]
    """
    return 1.0 if place < 1 else 1.0 / (1.0 + lift * examination(place))
