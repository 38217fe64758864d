"""What the stores come to when they are given a run's logs once more, in one process without a broker."""

import math
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from online_models.admission import ROW_PREFIX as ADMISSION_ROWS
from online_models.churn.profile import UserStore
from online_models.churn.scorer import ChurnScorer
from online_models.churn.trainer import TrainerStore
from online_models.events import EVENT_NAMES
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.rank_trainer import RankTrainerStore
from online_models.journal import Journal
from streams.settings import Settings
from streams.store_settings import cooccurrence_settings, trainer_settings, user_settings
from tests.chaos.outcome import Outcome, opened


def replayed_items(outcome: Outcome, settings: Settings) -> dict[int, dict[bytes, bytes]]:
    """Return the rows of fresh stores that were given every record of the item-pairs topic, one by one."""
    found = {}
    for partition, batches in outcome.pairs.items():
        store = CooccurrenceStore(cooccurrence_settings(settings))
        for batch, sent_ms in zip(batches, chain(outcome.sent_ms[partition], repeat(0)), strict=False):
            store.apply(batch, sent_ms)
        found[partition] = opened(store.dirty_rows())
    return found


class Replayed(NamedTuple):
    """A fresh trainer after the whole examples topic, and every model that was due on the way, by version."""

    trainer: TrainerStore
    scorers: dict[int, ChurnScorer]


def replayed_trainer(outcome: Outcome, settings: Settings) -> Replayed:
    """Give a fresh trainer every record of the examples topic, in order."""
    trainer = TrainerStore(trainer_settings(settings))
    scorers = {}
    for batch in outcome.examples:
        scorers |= {scorer.version: scorer for scorer in trainer.apply(batch).scorers}
    for batch in outcome.outcomes:
        trainer.winback.apply(batch)
    return Replayed(trainer, scorers)


class ReplayedRanker(NamedTuple):
    """Rows of a fresh trainer of the ranker after its whole examples topic, and how many rankers were due."""

    rows: dict[bytes, bytes]
    versions: int


def replayed_ranker(outcome: Outcome) -> ReplayedRanker:
    """Give a fresh trainer of the ranker every record of its examples topic, in order."""
    ranker = RankTrainerStore()
    for batch in outcome.rank_examples:
        ranker.apply(batch)
    return ReplayedRanker(opened(ranker.dirty_rows()), ranker.version)


def restored_trainer(outcome: Outcome, settings: Settings) -> TrainerStore:
    """Return the trainer as a worker would restore it."""
    trainer = TrainerStore(trainer_settings(settings))
    trainer.restore(Journal().seal(outcome.trainer[0].items()))
    trainer.restored()
    return trainer


def restored_items(outcome: Outcome, settings: Settings) -> dict[int, CooccurrenceStore]:
    """Return the items' stores as a worker would restore them."""
    found = {}
    for partition, rows in outcome.items.items():
        store = CooccurrenceStore(cooccurrence_settings(settings))
        store.restore(Journal().seal(rows.items()))
        store.restored()
        found[partition] = store
    return found


def event_counts(outcome: Outcome, settings: Settings) -> dict[str, dict[str, int]]:
    """Return the counts by event name that the restored users' stores hold, zeros left out."""
    found: dict[str, dict[str, int]] = {}
    for rows in outcome.users.values():
        store = UserStore(user_settings(settings, settings.topics.events_partitions))
        # Ids were put together (see `_merged_ids`), and say nothing of counts.
        kept = {key: value for key, value in rows.items() if not key.startswith(ADMISSION_ROWS)}
        store.restore(Journal().seal(kept.items()))
        store.restored()
        for key in kept:
            if key.startswith(b"\0"):
                continue
            view = store.lookup(key.decode())
            assert view is not None
            found[view.subject] = {name: n for name in EVENT_NAMES if (n := view.event_counts.get(name, 0))}
    return found


class Deviation(NamedTuple):
    """How two stores of items differ: in what must be equal, and by how much in sums of floats."""

    unequal: list[str]
    largest: float


def deviation(one: dict[int, CooccurrenceStore], other: dict[int, CooccurrenceStore]) -> Deviation:
    """Compare items whose pairs came in another order: counts must be equal, decayed sums may be rounded."""
    unequal, largest = [], 0.0
    if one.keys() != other.keys():
        return Deviation([f"partitions {sorted(one)} and {sorted(other)}"], math.inf)
    for partition, first in one.items():
        second = other[partition]
        names = sorted(first.rows["hash"][: first.size].tolist())
        if names != sorted(second.rows["hash"][: second.size].tolist()):
            return Deviation([f"partition {partition} holds other items"], math.inf)
        for value in names:
            each = [(store, store.row_of(value)) for store in (first, second)]
            exact = zip(_EXACT, *(_exact(store.rows[row]) for store, row in each), strict=True)
            differing = [entry for entry in exact if entry[1] != entry[2]]
            if differing or first.name_of(value) != second.name_of(value):
                unequal.append(f"{first.name_of(value)}: {differing}")
            for sums in zip(*(_sums(store, row) for store, row in each), strict=True):
                if sums[0].keys() != sums[1].keys():
                    unequal.append(f"{first.name_of(value)}: other partners")
                    continue
                largest = max([largest, *(_relative(sums[0][key], sums[1][key]) for key in sums[0])])
    return Deviation(unequal, largest)


_EXACT = ("touches", "last_ms", "category", "price", "epoch", "lately_epoch", "used")


def _exact(row: np.void) -> list[float | None]:
    return [None if np.isnan(row[name]) else row[name].item() for name in _EXACT]


def _sums(store: CooccurrenceStore, row: int) -> list[dict[int, float]]:
    """Return the decayed sums of an item, those of its partners by partner."""
    held = store.rows[row]
    taken = store.slots.take(np.array([row]), np.array([held["used"]]))
    partner, weights = (column[0, : held["used"]] for column in taken)
    partners, columns = partner.tolist(), weights.T.tolist()
    own = {0: float(held["popularity"]), 1: float(held["lately"])}
    return [own, *(dict(zip(partners, column, strict=True)) for column in columns)]


def _relative(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0
