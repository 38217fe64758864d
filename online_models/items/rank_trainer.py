"""The one trainer of the ranker: learns every set of candidates, and publishes rankers."""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import Any, Final, NamedTuple

import numpy as np

from online_models import snapshots
from online_models.errors import CorruptStateError, InvalidParameterError, blame
from online_models.events import Floats
from online_models.items.features import RANK_FEATURES
from online_models.items.network import HIDDEN, LEARNING_RATE, FrozenRanker, RankNetwork
from online_models.items.pairs import Floats32
from online_models.items.propensity import LIFT, weight
from online_models.items.rank_examples import RankExamples
from online_models.items.ranker import BASE_WEIGHTS
from online_models.journal import Journal

STATE_ROW: Final = b"\0ranker"
_VERSION: Final = 1
_LIST: Final = 20
_BASE: Final = np.array([BASE_WEIGHTS[name] for name in RANK_FEATURES])
_MEASURES: Final = ("hit_rate", "mrr", "base_hit_rate", "base_mrr", "recall")


@dataclass(frozen=True, slots=True)
class RankTrainerSettings:
    """Settings of `RankTrainerStore`.

    Parameters
    ----------
    learning_rate
        Step size of AdaGrad.
    hidden
        Hidden units of a network that starts anew.
    min_sets
        Sets to be learned before the first ranker is published.
    publish_growth, publish_every
        A ranker is published when the learned sets have grown by this share, and after so many at the latest.
    half_life
        After how many later sets a set weighs half in the measures.
    shown_lift
        How many times as often, on top, an item is touched because it stands first in a list that was shown;
        0 learns from all touches alike.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.
    """

    learning_rate: float = LEARNING_RATE
    hidden: int = HIDDEN
    min_sets: int = 200
    publish_growth: float = 0.1
    publish_every: int = 5_000
    half_life: int = 5_000
    shown_lift: float = LIFT

    def __post_init__(self) -> None:
        for name in ("learning_rate", "publish_growth"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InvalidParameterError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.shown_lift < float("inf"):
            raise InvalidParameterError(f"shown_lift must be at least 0, got {self.shown_lift}")
        for name in ("hidden", "min_sets", "publish_every", "half_life"):
            if getattr(self, name) < 1:
                raise InvalidParameterError(f"{name} must be at least 1, got {getattr(self, name)}")


class PublishedRanker(NamedTuple):
    """A ranker to be broadcast.

    Parameters
    ----------
    version
        Its number, from 1.
    ranker
        What lists are ranked with.
    sets
        Sets it has learned.
    latest_ms
        Event time of the latest touch it has learned, epoch milliseconds.
    card
        Its measures by name.
    """

    version: int
    ranker: FrozenRanker
    sets: int
    latest_ms: int
    card: dict[str, float]


class RankTrainerStore:
    """The network and how well it does: each set is ranked before it is learned.

    Rankers are published at fixed numbers of learned sets, so that they depend on the order of the sets only.

    Parameters
    ----------
    settings
        Step size, and when to publish.

    Attributes
    ----------
    network
        The network.
    version
        Number of the last published ranker, 0 before the first.
    learned, skipped
        Sets learned, and those whose target was not among the candidates.
    from_lists
        Learned sets whose target had stood in a list that was shown.
    """

    def __init__(self, settings: RankTrainerSettings | None = None) -> None:
        self.settings = settings or RankTrainerSettings()
        self.network = RankNetwork(self.settings.hidden, self.settings.learning_rate)
        self.version = self.learned = self.skipped = self.from_lists = 0
        self._published_at = 0
        self._latest_ms = 0
        self._fade = 0.5 ** (1.0 / self.settings.half_life)
        self._weight = 0.0
        self._sums = np.zeros(len(_MEASURES))
        self._journal = Journal()
        self._dirty = False

    def apply(self, examples: RankExamples) -> list[PublishedRanker]:
        """Learn sets one by one, in order, and return the rankers that fell due."""
        published = []
        for one, time_ms in zip(examples.sets(), examples.time_ms.tolist(), strict=True):
            self._latest_ms = max(self._latest_ms, time_ms)
            self.learn_one(*one)
            if self._due():
                self.version += 1
                self._published_at = self.learned
                published.append(self._present())
        return published

    def learn_one(self, features: Floats32, target: int, shown_at: int = 0) -> None:
        """Learn one set.

        Parameters
        ----------
        features
            (n, f) the candidates.
        target
            Which of them was touched, -1 for none of them.
        shown_at
            Its place, from 1, in the list that was shown before; 0 where it was in none.
        """
        self._dirty = True
        if target < 0:
            self.skipped += 1
            self._measure(np.zeros(len(_MEASURES)))
            return
        scores = self.network.learn_one(features, target, weight(shown_at, self.settings.shown_lift))
        self.learned += 1
        self.from_lists += shown_at > 0
        ours, base = _place(scores, target), _place(features @ _BASE, target)
        places = [*_gains(ours), *_gains(base), 1.0]
        self._measure(np.array(places))

    def card(self) -> dict[str, float]:
        """Return the measures, of lists of 20: hit rate, MRR, those of the base ranker, candidate recall."""
        measures = self._sums / self._weight if self._weight else np.full(len(_MEASURES), np.nan)
        counts = {"sets": self.learned, "skipped": self.skipped, "from_lists": self.from_lists}
        return {name: float(count) for name, count in counts.items()} | dict(
            zip(_MEASURES, measures.tolist(), strict=True)
        )

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows changed since the last call, encoded."""
        if not self._dirty:
            return []
        self._dirty = False
        state = {
            "version": self.version,
            "learned": self.learned,
            "skipped": self.skipped,
            "from_lists": self.from_lists,
            "published_at": self._published_at,
            "latest_ms": self._latest_ms,
            "weight": self._weight,
            "sums": self._sums,
            "network": self.network.state(),
        }
        return self._journal.seal([(STATE_ROW, snapshots.pack("ranker", _VERSION, state))])

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; it names its key.
        """
        for key, value in self._journal.open(rows):
            with blame(key), snapshots.reading("ranker"):
                if key != STATE_ROW or value is None:
                    raise CorruptStateError("of no kind that this release knows")
                self._restore(snapshots.unpack("ranker", _VERSION, value))

    def restored(self) -> None:
        """Finish loading."""

    def _restore(self, state: dict[str, Any]) -> None:
        self.network = RankNetwork.from_state(state["network"])
        self.version, self.learned = index(state["version"]), index(state["learned"])
        self.skipped, self._published_at = index(state["skipped"]), index(state["published_at"])
        # Releases before lists were followed did not count them.
        self.from_lists = index(state.get("from_lists", 0))
        self._latest_ms, self._weight = index(state["latest_ms"]), float(state["weight"])
        self._sums = state["sums"].copy()

    def _measure(self, gains: Floats) -> None:
        self._weight = self._weight * self._fade + 1.0
        self._sums = self._sums * self._fade + gains

    def _due(self) -> bool:
        fresh = self.learned - self._published_at
        growth = int(self._published_at * self.settings.publish_growth)
        return fresh >= min(self.settings.publish_every, max(self.settings.min_sets, growth))

    def _present(self) -> PublishedRanker:
        return PublishedRanker(
            self.version, self.network.frozen(), self.learned, self._latest_ms, self.card()
        )


def _place(scores: Floats, target: int) -> int:
    """Return the place of the target, from 1; where others score alike, behind them."""
    return int(np.count_nonzero(scores >= scores[target]))


def _gains(place: int) -> tuple[float, float]:
    return (1.0, 1.0 / place) if place <= _LIST else (0.0, 0.0)
