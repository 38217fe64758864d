"""The trainer's side of win-back: learns every outcome, and publishes what the bandit believes."""

from collections.abc import Mapping
from dataclasses import asdict
from operator import index
from typing import Any, Final

import numpy as np

from online_models import snapshots
from online_models.winback.bandit import Bandit, BanditPolicy
from online_models.winback.outcomes import OutcomeBatch
from online_models.winback.uplift import Uplift, UpliftBook

STATE_ROW: Final = b"\0winback"
_VERSION: Final = 1
_FEWEST: Final = 10
_GROWTH: Final = 0.05
_MOST: Final = 500


class WinbackLearner:
    """Bandit and uplift, fed outcome by outcome in the order of the log.

    A policy is published at fixed numbers of outcomes, so versions depend on their order only.

    Attributes
    ----------
    version
        Number of the last published policy, 0 before the first.
    """

    def __init__(self) -> None:
        self.version = 0
        self._published_at = 0
        self._bandit = Bandit()
        self._book = UpliftBook()
        self._dirty = False

    def apply(self, outcomes: OutcomeBatch) -> list[BanditPolicy]:
        """Learn outcomes one by one, in order; return the policies that were due on the way."""
        published = []
        columns = (
            outcomes.propensity.tolist(),
            outcomes.holdout.tolist(),
            outcomes.returned.tolist(),
            outcomes.spend.tolist(),
            outcomes.cost.tolist(),
        )
        for place, (arm, propensity, holdout, returned, spend, cost) in enumerate(
            zip(outcomes.action, *columns, strict=True)
        ):
            x = outcomes.context[place]
            if not (np.isfinite(x).all() and 0 < propensity <= 1):
                continue
            self._bandit.learn_one(arm, x, float(returned))
            self._book.add(
                arm, propensity, holdout=bool(holdout), returned=bool(returned), spend=spend, cost=cost
            )
            if self._due():
                self.version += 1
                self._published_at = self._bandit.learned
                published.append(self.current())
        self._dirty |= len(outcomes) > 0
        return published

    def current(self) -> BanditPolicy:
        """Return what is believed now, under the version last published."""
        return self._bandit.policy(self.version, self.card())

    def uplift(self) -> dict[str, Uplift]:
        """Return what every action came to."""
        return self._book.report()

    def card(self) -> dict[str, float]:
        """Return the measures by name: ``MEASURE_ACTION``, those that are not defined left out."""
        card = {"outcomes": float(self._bandit.learned)}
        for arm, uplift in self._book.report().items():
            card |= {f"{measure}_{arm}": float(value) for measure, value in asdict(uplift).items()}
        return {name: value for name, value in card.items() if np.isfinite(value)}

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the row of everything learned, if it has changed since the last call."""
        if not self._dirty:
            return []
        self._dirty = False
        state = {
            "version": self.version,
            "published_at": self._published_at,
            "bandit": self._bandit.state(),
            "sums": self._book.state(),
        }
        return [(STATE_ROW, snapshots.pack("winback", _VERSION, state))]

    def restore(self, value: bytes) -> None:
        """Load the row that `dirty_rows` returned.

        Raises
        ------
        CorruptStateError
            When it is something else.
        """
        state: Mapping[str, Any] = snapshots.unpack("winback", _VERSION, value)
        with snapshots.reading("winback"):
            self._bandit = Bandit.from_state(state["bandit"])
            self._book = UpliftBook.from_state(state["sums"])
            self.version, self._published_at = index(state["version"]), index(state["published_at"])

    def _due(self) -> bool:
        fresh = self._bandit.learned - self._published_at
        return fresh >= min(_MOST, max(_FEWEST, int(self._published_at * _GROWTH)))
