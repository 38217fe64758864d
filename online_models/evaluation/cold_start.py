"""How well lists do where little is known: new users, new items, a shop that has just opened."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from online_models.evaluation.ranking import hits, reciprocal_ranks
from online_models.events import Int64s

_FEW: Final = 5
_AGES: Final = (1_000, 10_000, 100_000)


class Knowledge(NamedTuple):
    """What was known when a case was foretold.

    Parameters
    ----------
    sessions
        Sessions of the user, the present one included.
    item_touches
        Touches of the best known target.
    shop_touches
        Touches of anything.
    """

    sessions: int
    item_touches: int
    shop_touches: int

    def groups(self) -> tuple[str, str, str]:
        """Return the names of the groups that the case belongs to: by user, by item, by age of the shop.

        Examples
        --------
        >>> Knowledge(1, 3, 20_000).groups()
        ('user: first session', 'item: 1 to 4 touches', 'shop: to 100,000 touches')
        """
        user = {1: "first session", 2: "second session"}.get(self.sessions, "later sessions")
        item = "never seen" if not self.item_touches else f"1 to {_FEW - 1} touches"
        if self.item_touches >= _FEW:
            item = f"{_FEW} touches or more"
        age = next((f"to {limit:,} touches" for limit in _AGES if self.shop_touches < limit), "later")
        return f"user: {user}", f"item: {item}", f"shop: {age}"


GROUPS: Final = (
    *(f"user: {name} session{'s' * (name == 'later')}" for name in ("first", "second", "later")),
    *(f"item: {name}" for name in ("never seen", f"1 to {_FEW - 1} touches", f"{_FEW} touches or more")),
    *(f"shop: to {limit:,} touches" for limit in _AGES),
    "shop: later",
)
"""All groups, in the order in which they are told."""


def cold_start(
    knowledge: list[Knowledge], ranks: Mapping[str, Int64s], k: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Return, by group and recommender, ``cases``, ``hit_rate`` and ``mrr`` of lists of k.

    Parameters
    ----------
    knowledge
        What was known at n cases.
    ranks
        (n,) by recommender: where the target stood in its list, -1 where it did not.
    k
        Length of the lists.
    """
    of_case = np.array([case.groups() for case in knowledge], dtype=np.str_).reshape(-1, 3)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for group in GROUPS:
        cases = np.flatnonzero((of_case == group).any(axis=1))
        if cases.size:
            found[group] = {
                name: {
                    "cases": float(cases.size),
                    "hit_rate": float(hits(places[cases], k).mean()),
                    "mrr": float(reciprocal_ranks(places[cases], k).mean()),
                }
                for name, places in ranks.items()
            }
    return found
