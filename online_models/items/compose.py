"""Lists of ranked items, with new items of the catalogue and pinned ones put into their places."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Self

import numpy as np

from online_models.events import hash_ids
from online_models.items.cold import ColdPicks
from online_models.items.histories import Histories
from online_models.items.policy import PolicySettings, met
from online_models.items.shop import Shop
from online_models.items.slots import Bools

PINNED: Final = "pinned by the shop"
PROMOTED: Final = ", promoted by the shop"
_NEW: Final = ("new in ", "new from ")


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of n users.

    Parameters
    ----------
    items
        n lists of item ids, best first.
    scores
        n lists of scores.
    reasons
        n lists of sentences: why the item is there.
    """

    items: list[list[str]]
    scores: list[list[float]]
    reasons: list[list[str]]

    @classmethod
    def empty(cls, users: int) -> Self:
        """Return empty lists of n users."""
        return cls([[] for _ in range(users)], [[] for _ in range(users)], [[] for _ in range(users)])

    def fill(self, users: Sequence[int], lists: Self) -> None:
        """Take over the lists of some users, given by their places."""
        for place, user in enumerate(users):
            self.items[user], self.scores[user] = lists.items[place], lists.scores[place]
            self.reasons[user] = lists.reasons[place]

    def extend(self, others: Self) -> None:
        """Add the lists of further users."""
        self.items.extend(others.items)
        self.scores.extend(others.scores)
        self.reasons.extend(others.reasons)

    def promote(self, boosted: Bools | None) -> None:
        """Say of items (n, k) that the shop has moved them up; None where it moved nothing."""
        if boosted is not None:
            for user, place in np.argwhere(boosted).tolist():
                self.reasons[user][place] += PROMOTED

    def ways(self) -> Counter[str]:
        """Return how many items came in by the ranking, by a boost or a pin of the shop, or as new ones."""
        found: Counter[str] = Counter()
        # Few sentences stand at most places.
        for reason, places in Counter(chain.from_iterable(self.reasons)).items():
            found[_way(reason)] += places
        return found

    def put(self, user: int, place: int, item: str, reason: str) -> None:
        """Put an item into a list, with the score of the one whose place it takes."""
        scores = self.scores[user]
        place = min(place, len(scores))
        score = scores[min(place, len(scores) - 1)] if scores else 0.0
        self.items[user].insert(place, item)
        scores.insert(place, score)
        self.reasons[user].insert(place, reason)

    def drop(self, user: int, place: int, end: int | None = None) -> None:
        """Take one place out of a list, or all from it up to `end`."""
        taken = slice(place, place + 1 if end is None else end)
        for part in (self.items, self.scores, self.reasons):
            del part[user][taken]


def _way(reason: str) -> str:
    if reason == PINNED:
        return "pinned"
    if reason.endswith(PROMOTED):
        return "promoted"
    return "new" if reason.startswith(_NEW) else "ranked"


def add_cold(lists: Lists, picks: ColdPicks, shop: Shop, k: int) -> None:
    """Put new items into lists of at most k, spread evenly, the last one at the end.

    Parameters
    ----------
    lists
        The lists, which are changed.
    picks, shop
        New items of each user, and whose catalogue they are of.
    k
        Length of a list.
    """
    for user, rows in enumerate(picks.rows.tolist() if picks.rows.shape[1] else ()):
        known = set(lists.items[user])
        new = [
            (place, row)
            for place, row in enumerate(rows)
            if row >= 0 and shop.catalogue.item_id(row) not in known
        ]
        length = min(k, len(lists.items[user]) + len(new))
        lists.drop(user, length - len(new), k)
        for nth, (place, row) in enumerate(new):
            if picks.by_category[user, place]:
                reason = _NEW[0] + f"{shop.catalogue.category_names(np.array([row]))[0]}"
            else:
                reason = _NEW[1] + f"{shop.catalogue.brand_names(np.array([row]))[0]}"
            at = (nth + 1) * length // len(new) - 1
            lists.put(user, at, shop.catalogue.item_id(row), reason)


def pin(
    lists: Lists, policy: PolicySettings, histories: Histories, shop: Shop, now_ms: int, *, k: int
) -> None:
    """Put the pinned items into their places of lists of at most k.

    Left out are pinned items that are not sold at present or are blocked, and for each user those bought a
    short while ago or looked at right now.

    Parameters
    ----------
    lists
        The lists, which are changed.
    policy, histories
        The repurchase window, and the n users.
    shop
        Its catalogue and rules.
    now_ms
        Present event time, epoch milliseconds.
    k
        Length of a list.
    """
    rules = shop.rules.at(now_ms) if len(shop.rules) else None
    if rules is None or not rules.pins:
        return
    items = np.asarray(hash_ids([one.item_id for one in rules.pins]), np.uint64)
    out = ~shop.sells(items, now_ms) | shop.blocks(items, rules) | met(policy, histories, items, now_ms)
    for user in range(len(histories)):
        wanted = [one for one, left_out in zip(rules.pins, out[user].tolist(), strict=True) if not left_out]
        for one in wanted:
            if one.item_id in lists.items[user]:
                lists.drop(user, lists.items[user].index(one.item_id))
        for one in wanted:
            lists.put(user, one.place, one.item_id, PINNED)
        lists.drop(user, k, len(lists.items[user]))
