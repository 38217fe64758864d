"""Accepted events as columns: what every store consumes.

One `EventBatch` holds consecutive events of one source partition in log order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import xxhash

EVENT_NAMES: Final = (
    "view_item_list",
    "select_item",
    "view_item",
    "search",
    "add_to_wishlist",
    "add_to_cart",
    "remove_from_cart",
    "view_cart",
    "begin_checkout",
    "add_payment_info",
    "purchase",
    "refund",
    "login",
    "sign_up",
    "review_submitted",
    "support_message",
    "recommendation_shown",
    "intervention_sent",
    "intervention_opened",
    "intervention_redeemed",
    "user_erased",
    "other",
)
"""GA4's names in a fixed order; the position is the event's kind code. `other` is plain activity."""

KIND: Final = {name: code for code, name in enumerate(EVENT_NAMES)}
OTHER: Final = KIND["other"]

TOUCH_KINDS: Final = tuple(
    KIND[name] for name in ("select_item", "view_item", "add_to_wishlist", "add_to_cart", "purchase")
)
"""Kinds whose distinct items count as touches."""

SILENT_KINDS: Final = tuple(
    KIND[name] for name in ("recommendation_shown", "intervention_sent", "refund", "user_erased")
)
"""Kinds that are no activity: what the shop does is no return of the user."""

RejectReason = Literal[
    "not_json",
    "not_an_object",
    "too_large",
    "too_deep",
    "missing_field",
    "wrong_type",
    "out_of_range",
    "empty_value",
    "bad_value",
    "duplicate_key",
    "bad_time",
    "no_subject",
    "from_the_future",
    "too_late",
    "poison",
]


class Reject(NamedTuple):
    """Why an event was not accepted: bad input is a value, not an exception."""

    reason: RejectReason
    message: str


def hash_id(text: str) -> int:
    """Return the 64-bit hash that stands for an id in every column; never 0, which means "none".

    >>> hash_id("sku-1") == hash_id("sku-1") != hash_id("sku-2")
    True
    """
    return xxhash.xxh3_64_intdigest(text.encode()) or 1


Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Int8s = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]


def hash_ids(texts: Sequence[str]) -> UInt64s:
    """Return the `hash_id` of every text as one column; the empty text, which is no id, hashes to 0.

    >>> hash_ids(["sku-1", ""]).tolist() == [hash_id("sku-1"), 0]
    True
    """
    digest = xxhash.xxh3_64_intdigest
    hashes = np.array([digest(text.encode()) if text else 0 for text in texts], np.uint64)
    if not hashes.all():
        hashes[(hashes == 0) & np.array([bool(text) for text in texts], np.bool_)] = 1
    return hashes


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events of one source partition in log order, as columns.

    Parameters
    ----------
    subject
        n subjects: ``"u:" + user_id``, else ``"a:" + anonymous_id``.
    event_id
        (n,) 64-bit hashes of the event ids.
    kind
        (n,) codes into `EVENT_NAMES`.
    time
        (n,) event time, epoch milliseconds.
    offset
        (n,) offsets in the source partition.
    session
        (n,) 64-bit hashes of the producers' session ids; 0 where none was given.
    value
        (n,) value of the event in its currency; NaN where none was given.
    rating
        (n,) 1 to 5; NaN where none was given.
    item_start
        (n + 1,) the items of event i are ``item_start[i]:item_start[i + 1]`` of the item columns.
    item, category
        m item ids, distinct within an event, and their categories ("" where unknown).
    item_hash
        (m,) `hash_id` of the item ids.
    price, quantity
        (m,) price per unit (NaN where unknown) and quantity (1 where unknown).
    """

    subject: Sequence[str]
    event_id: UInt64s
    kind: Int8s
    time: Int64s
    offset: Int64s
    session: UInt64s
    value: Floats
    rating: Floats
    item_start: Int64s
    item: Sequence[str]
    item_hash: UInt64s
    category: Sequence[str]
    price: Floats
    quantity: Floats

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.subject)

    def take(self, rows: Int64s) -> Self:
        """Return the given events (indices in ascending order) as a batch of their own."""
        starts = self.item_start[rows]
        counts = self.item_start[rows + 1] - starts
        ends = np.cumsum(counts)
        begin = np.concatenate(([0], ends)).astype(np.int64)
        items = np.repeat(starts - begin[:-1], counts) + np.arange(int(begin[-1]))
        listed = rows.tolist()
        listed_items = items.tolist()
        return type(self)(
            subject=[self.subject[i] for i in listed],
            event_id=self.event_id[rows],
            kind=self.kind[rows],
            time=self.time[rows],
            offset=self.offset[rows],
            session=self.session[rows],
            value=self.value[rows],
            rating=self.rating[rows],
            item_start=begin,
            item=[self.item[i] for i in listed_items],
            item_hash=self.item_hash[items],
            category=[self.category[i] for i in listed_items],
            price=self.price[items],
            quantity=self.quantity[items],
        )
