"""What the models cost an event when every event asks for a list: ``python -m benchmarks.lists``.

A shop with many items and visitors is made first; then batches of users are ranked as a worker does, from the
broadcast table. Times are of the processor, so that other work on the machine does not count.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from online_models.churn.rows import user_layout
from online_models.churn.settings import UserSettings
from online_models.items.candidates import gather
from online_models.items.evidence import CandidateSettings
from online_models.items.histories import Histories
from online_models.items.neighbours import NeighbourRow, NeighbourTable
from online_models.items.network import RankNetwork
from online_models.items.own_items import OwnItems
from online_models.items.recommender import Recommender
from online_models.items.rows import item_layout
from online_models.items.settings import CooccurrenceSettings

_NOW_MS = 1_772_000_000_000


def shop(items: int, random: np.random.Generator) -> NeighbourTable:
    """Return a table in which every item has all the partners that are broadcast."""
    settings = CooccurrenceSettings()
    table, width = NeighbourTable(settings, items), settings.published_partners
    hashes = np.arange(1, items + 1, dtype=np.uint64)
    rows = []
    for item in hashes.tolist():
        partners = np.unique(hashes[random.integers(0, items, width)])
        weights = np.sort(random.exponential(1.0, (partners.size, 3)).astype(np.float32), axis=0)[::-1]
        rows.append(
            NeighbourRow(
                f"p{item}",
                item,
                f"c{item % 50}",
                10.0,
                20.0,
                5.0,
                _NOW_MS,
                30,
                [f"p{partner}" for partner in partners.tolist()],
                partners,
                weights,
            )
        )
    table.upsert(rows)
    return table


def visitors(count: int, items: int, random: np.random.Generator) -> Histories:
    """Return users in the middle of sessions of 1 to 10 touches, each with a history of own items."""
    touched = random.integers(1, items + 1, (count, 10)).astype(np.uint64)
    length = random.integers(1, 11, count)
    touched[np.arange(10) >= length[:, None]] = 0
    own = np.zeros((count, UserSettings().own_items), np.uint64)
    own[:, :10] = touched
    nothing = np.zeros((count, 0), np.uint64)
    return Histories(
        touched,
        length,
        length,
        nothing,
        nothing.astype(np.int64),
        OwnItems(own, (own > 0).astype(np.uint16), (own > 0).astype(np.uint32) * 1_772_000_000),
        np.zeros(count, np.int64),
    )


def main() -> None:
    """Print microseconds an event, and bytes an item and a user."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=10)
    chosen = parser.parse_args()
    random = np.random.default_rng(1)
    table, users = shop(chosen.items, random), visitors(chosen.batch, chosen.items, random)
    recommender = Recommender(ranker=RankNetwork().frozen())
    steps: dict[str, Callable[[], object]] = {
        "candidates": lambda: [
            gather(CandidateSettings(), users.take(slice(at, at + 64)), table, _NOW_MS)
            for at in range(0, len(users), 64)
        ],
        "ranking": lambda: recommender.rank(users, table, _NOW_MS),
        "list with policy and reasons": lambda: recommender.recommend(users, table, _NOW_MS),
    }
    for name, step in steps.items():
        step()
        began = time.process_time()
        for _ in range(chosen.rounds):
            step()
        spent = (time.process_time() - began) / chosen.rounds / chosen.batch
        print(f"{name:<30} {spent * 1e6:8.1f} microseconds an event")
    row = item_layout(CooccurrenceSettings(slots=128)).schema.dtype.itemsize
    print(f"{'an item, in its partition':<30} {row:8} bytes")
    print(f"{'an item, on every worker':<30} {table.nbytes // len(table):8} bytes")
    print(f"{'a user':<30} {user_layout(UserSettings()).schema.dtype.itemsize:8} bytes")


if __name__ == "__main__":
    main()
