"""Seeded sessions as pair batches."""

import numpy as np

from online_models.events import KIND, hash_id
from online_models.items.pairs import PairBatch, pairs_from_touches

VIEW = KIND["view_item"]
DAY_MS = 86_400_000


def item_hash(item):
    return np.uint64(hash_id(item))


def log_of(touches, *, kinds=None, categories=None):
    """Return a batch of (session, item, time) touches in log order."""
    sessions: dict[object, list[np.uint64]] = {}
    previous = np.zeros((len(touches), 10), np.uint64)
    hashes = np.array([item_hash(item) for _, item, _ in touches], np.uint64)
    for place, (session, _, _) in enumerate(touches):
        earlier = sessions.setdefault(session, [])
        previous[place, : min(10, len(earlier))] = earlier[:10]
        earlier.insert(0, hashes[place])
    return pairs_from_touches(
        item=[item for _, item, _ in touches],
        item_hash=hashes,
        kind=np.array(kinds or [VIEW] * len(touches), np.int8),
        time=np.array([time for _, _, time in touches], np.int64),
        category=[(categories or {}).get(item, "") for _, item, _ in touches],
        price=np.full(len(touches), np.nan),
        previous=previous,
        names={hash_id(item): item for _, item, _ in touches},
    )


def random_touches(seed, n, *, items=30, sessions=8, span_ms=40 * DAY_MS):
    rng = np.random.default_rng(seed)
    # Every touch has a time of its own, by which `cut` finds its pairs.
    times = np.sort(rng.integers(0, span_ms, n)) + np.arange(n) + 1_700_000_000_000
    drawn = rng.zipf(1.3, n) % items
    return [
        (f"s{session}", f"item-{item}", int(time))
        for session, item, time in zip(rng.integers(0, sessions, n), drawn, times, strict=True)
    ]


def cut(batch: PairBatch, size: int):
    """Return the batch in pieces of `size` touches, each with the pairs that came with them."""
    of_pair = np.searchsorted(batch.touch_time, batch.time)
    pieces = []
    for begin in range(0, batch.touch_item.size, size):
        touches = np.arange(begin, min(begin + size, batch.touch_item.size))
        pairs = np.flatnonzero((of_pair >= begin) & (of_pair < begin + size))
        pieces.append(batch.take(touches, pairs))
    return pieces
