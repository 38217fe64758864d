"""Touches and item pairs as columns: what the users' side sends to the owners of items.

A touch of item b after item a at distance k within a session counts forward at a and backward at b.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from online_models.errors import CorruptStateError
from online_models.events import EVENT_NAMES, KIND, Floats, Int8s, Int64s, UInt64s

UInt32s = npt.NDArray[np.uint32]
Floats32 = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)

PAIR_VERSION: Final = 1
MAX_RECORD_BYTES: Final = 400_000

_EMPHASIS: Final = {KIND["add_to_wishlist"]: 1.5, KIND["add_to_cart"]: 2.0, KIND["purchase"]: 2.0}
TOUCH_WEIGHTS: Final = np.array([_EMPHASIS.get(kind, 1.0) for kind in range(len(EVENT_NAMES))], np.float32)
"""(kinds,) weight of a touch by event kind: a view or selection counts 1, stronger wishes somewhat more.

The emphasis is mild on purpose: lists are judged by the next touch, and a cart usually repeats a view.
"""

_PAIR_BYTES: Final = 4 + 4 + 1 + 4 + 8
_TOUCH_BYTES: Final = 4 + 8 + 4 + 8
_ID_BYTES: Final = 8 + 5
_COLUMNS: Final = (
    ("hashes", "<u8"),
    ("touch_item", "<u4"),
    ("touch_time", "<i8"),
    ("touch_category", "<u4"),
    ("touch_price", "<f8"),
    ("owner", "<u4"),
    ("partner", "<u4"),
    ("distance", "i1"),
    ("weight", "<f4"),
    ("time", "<i8"),
)
_DTYPES: Final = {name: np.dtype(dtype) for name, dtype in _COLUMNS}


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Touches and pairs in log order, as columns; an id's text travels once.

    Parameters
    ----------
    hashes
        (u,) `hash_id` of the items spoken of.
    names
        u item ids, "" where the sender only knew the hash.
    categories
        Category names; the first is "" (unknown).
    touch_item, touch_time, touch_category, touch_price
        (t,) index into `hashes`, event time in epoch milliseconds, index into `categories`, price (NaN
        where unknown).
    owner, partner
        (p,) indices into `hashes`: the item whose counts change, and the other one.
    distance
        (p,) touches from the earlier to the later item; positive where the owner came first (forward),
        negative where the partner did (backward).
    weight
        (p,) weight of the later touch, by its kind; it counts divided by the distance.
    time
        (p,) event time of the later touch, epoch milliseconds.
    """

    hashes: UInt64s
    names: Sequence[str]
    categories: Sequence[str]
    touch_item: UInt32s
    touch_time: Int64s
    touch_category: UInt32s
    touch_price: Floats
    owner: UInt32s
    partner: UInt32s
    distance: Int8s
    weight: Floats32
    time: Int64s

    def __len__(self) -> int:
        """Return the number of touches and pairs."""
        return self.touch_item.size + self.owner.size

    def split(
        self, partition_of: Callable[[UInt64s], Int64s], max_bytes: int = MAX_RECORD_BYTES
    ) -> Iterator[tuple[int, "PairBatch"]]:
        """Yield (partition, batch) with every touch at its item's owner and every pair at its owner's.

        Parameters
        ----------
        partition_of
            Maps (u,) hashes to (u,) partitions; see `item_partitions`.
        max_bytes
            Upper bound of a packed batch, reached by cutting; a single row may exceed it.
        """
        if not len(self):
            return
        part = partition_of(self.hashes)
        touch_part, pair_part = part[self.touch_item], part[self.owner]
        # The exact cost of every row is only worth its time where a part may have to be cut.
        costs_of = None if self._longest_bytes() < max_bytes else self._costs()
        for partition in sorted({*touch_part.tolist(), *pair_part.tolist()}):
            touches, pairs = (touch_part == partition).nonzero()[0], (pair_part == partition).nonzero()[0]
            if costs_of is None:
                yield partition, self.take(touches, pairs)
                continue
            chunk = np.cumsum(np.concatenate((costs_of[0][touches], costs_of[1][pairs]))) // max_bytes
            for number in np.unique(chunk).tolist():
                here = chunk == number
                yield (
                    partition,
                    self.take(touches[here[: touches.size]], pairs[here[touches.size :]]),
                )

    def _longest_bytes(self) -> int:
        """Return an upper bound of the bytes of all rows, from the longest id and category."""
        name = 4 * max(map(len, self.names), default=0) + _ID_BYTES
        category = 4 * max(map(len, self.categories), default=0) + 5
        touches, pairs = self.touch_item.size, self.owner.size
        return touches * (name + category + _TOUCH_BYTES) + pairs * (2 * name + _PAIR_BYTES)

    def _costs(self) -> tuple[Int64s, Int64s]:
        """Return (t,) and (p,) bytes of every touch and pair, as if each brought its own names."""
        name_bytes = np.array([len(name.encode()) for name in self.names], np.int64) + _ID_BYTES
        category_bytes = np.array([len(name.encode()) + 5 for name in self.categories], np.int64)
        touch_cost = name_bytes[self.touch_item] + category_bytes[self.touch_category] + _TOUCH_BYTES
        return touch_cost, name_bytes[self.owner] + name_bytes[self.partner] + _PAIR_BYTES

    def take(self, touches: Int64s, pairs: Int64s) -> Self:
        """Return the given touches and pairs (ascending) as a batch with the ids it needs only."""
        touch_item, owner, partner = self.touch_item[touches], self.owner[pairs], self.partner[pairs]
        used, place = _renumbered(self.hashes.size, touch_item, owner, partner)
        category = self.touch_category[touches]
        spoken, code = _renumbered(len(self.categories), category)
        unknown_first = spoken.size == 0 or spoken[0] != 0
        categories = [self.categories[i] for i in spoken.tolist()]
        return type(self)(
            hashes=self.hashes[used],
            names=[self.names[i] for i in used.tolist()],
            categories=["", *categories] if unknown_first else categories,
            touch_item=place[touch_item],
            touch_time=self.touch_time[touches],
            touch_category=code[category] + np.uint32(unknown_first),
            touch_price=self.touch_price[touches],
            owner=place[owner],
            partner=place[partner],
            distance=self.distance[pairs],
            weight=self.weight[pairs],
            time=self.time[pairs],
        )

    def named(self, names_of: Callable[[UInt64s], Sequence[str]]) -> Self:
        """Return the batch with ids from `names_of` ("" where it knows none) for hashes (n,) without one."""
        nameless = [place for place, name in enumerate(self.names) if not name]
        if not nameless:
            return self
        names = list(self.names)
        for place, name in zip(nameless, names_of(self.hashes[nameless]), strict=True):
            names[place] = name
        return replace(self, names=names)

    def pack(self) -> bytes:
        """Return the batch as versioned msgpack, columns as little-endian bytes."""
        columns: dict[str, Any] = {
            name: np.asarray(getattr(self, name), dtype).tobytes() for name, dtype in _DTYPES.items()
        }
        columns |= {"version": PAIR_VERSION, "names": list(self.names), "categories": list(self.categories)}
        return msgspec.msgpack.encode(columns)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the batch that `pack` wrote.

        Raises
        ------
        CorruptStateError
            When the bytes are no such batch, or of another version.
        """
        try:
            columns = msgspec.msgpack.decode(data, type=dict[str, Any])
            version = columns.pop("version")
            if version != PAIR_VERSION:
                raise CorruptStateError(f"pairs have version {version}, expected {PAIR_VERSION}")
            for name, dtype in _COLUMNS:
                # Of a copy: kernels take no arrays that cannot be written to.
                columns[name] = np.frombuffer(bytearray(columns[name]), dtype)
            return cls(**columns)
        except (msgspec.DecodeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise CorruptStateError(f"pairs cannot be read: {error!r}") from error

    @classmethod
    def concat(cls, batches: Sequence[Self]) -> Self:
        """Return several batches as one, in order; ids spoken of in more than one are listed again."""
        if len(batches) == 1:
            return batches[0]
        items = np.cumsum([0] + [batch.hashes.size for batch in batches])[:-1].astype(np.uint32)
        kinds = np.cumsum([0] + [len(batch.categories) for batch in batches])[:-1].astype(np.uint32)
        shifts = {"touch_item": items, "owner": items, "partner": items, "touch_category": kinds}
        columns: dict[str, Any] = {}
        for name, dtype in _COLUMNS:
            parts = [getattr(batch, name) for batch in batches]
            if name in shifts:
                parts = [part + shift for part, shift in zip(parts, shifts[name], strict=True)]
            columns[name] = np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)
        return cls(
            names=[name for batch in batches for name in batch.names],
            categories=[name for batch in batches for name in batch.categories] or [""],
            **columns,
        )


def pairs_from_touches(
    *,
    item: Sequence[str],
    item_hash: UInt64s,
    kind: Int8s,
    time: Int64s,
    category: Sequence[str],
    price: Floats,
    previous: UInt64s,
    names: Mapping[int, str] | None = None,
) -> PairBatch:
    """Return touches and their pairs with the earlier touches of the same session.

    A pair counts forward at the earlier item and backward at the later one. An item that follows itself
    counts forward only, once.

    Parameters
    ----------
    item, item_hash
        t item ids and (t,) their hashes, in log order.
    kind
        (t,) codes into `EVENT_NAMES`.
    time
        (t,) event time, epoch milliseconds.
    category
        t category names, "" where unknown.
    price
        (t,) price, NaN where unknown.
    previous
        (t, d) hashes of the session's earlier touches, newest first; 0 where there are fewer.
    names
        Ids known by hash, for the earlier items; what is missing travels as a hash.

    Examples
    --------
    >>> import numpy as np
    >>> from online_models.events import KIND, hash_id
    >>> a, b = np.uint64(hash_id("a")), np.uint64(hash_id("b"))
    >>> batch = pairs_from_touches(
    ...     item=["a", "b"],
    ...     item_hash=np.array([a, b]),
    ...     kind=np.full(2, KIND["view_item"], np.int8),
    ...     time=np.array([1000, 2000]),
    ...     category=["", ""],
    ...     price=np.full(2, np.nan),
    ...     previous=np.array([[0], [a]], np.uint64),
    ... )
    >>> columns = zip(batch.owner, batch.partner, batch.distance, strict=True)
    >>> [(batch.names[owner], batch.names[partner], int(k)) for owner, partner, k in columns]
    [('a', 'b', 1), ('b', 'a', -1)]
    """
    touch, step = np.nonzero(previous)
    earlier = previous[touch, step]
    later = item_hash[touch]
    hashes, inverse = np.unique(np.concatenate((item_hash, earlier)), return_inverse=True)
    index = inverse.astype(np.uint32)
    first, second = index[item_hash.size :], index[: item_hash.size][touch]
    distance = (step + 1).astype(np.int8)
    # Forward and backward pairs take turns; the backward one of an item with itself is left out.
    both = np.ones(2 * touch.size, np.bool_)
    both[1::2] = earlier != later
    turns = _interleave(first, second)
    spoken = list(dict.fromkeys(("", *category)))
    code = {name: number for number, name in enumerate(spoken)}
    touched = dict(zip(item_hash.tolist(), item, strict=True))
    known = names if names is not None else touched
    return PairBatch(
        hashes=hashes,
        names=[touched.get(value) or known.get(value, "") for value in hashes.tolist()],
        categories=spoken,
        touch_item=index[: item_hash.size],
        touch_time=time,
        touch_category=np.array([code[name] for name in category], np.uint32),
        touch_price=price,
        owner=turns.ravel()[both],
        partner=turns[:, ::-1].ravel()[both],
        distance=_interleave(distance, -distance).ravel()[both],
        weight=np.repeat(TOUCH_WEIGHTS[kind[touch]], 2)[both],
        time=np.repeat(time[touch], 2)[both],
    )


def _renumbered(count: int, *columns: UInt32s) -> tuple[Int64s, UInt32s]:
    """Return which of `count` numbers columns hold, ascending, and (count,) the place of each among them."""
    held = np.zeros(count, np.bool_)
    for column in columns:
        held[column] = True
    return held.nonzero()[0], held.cumsum(dtype=np.uint32) - np.uint32(1)


def _interleave(left: npt.NDArray[Number], right: npt.NDArray[Number]) -> npt.NDArray[Number]:
    columns = np.empty((left.size, 2), left.dtype)
    columns[:, 0] = left
    columns[:, 1] = right
    return columns


def item_partitions(hashes: UInt64s, partitions: int) -> Int64s:
    """Return the partition that owns each item, by its hash.

    >>> item_partitions(np.array([7, 8], np.uint64), 4).tolist()
    [3, 0]
    """
    return (hashes % np.uint64(partitions)).astype(np.int64)
