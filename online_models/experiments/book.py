"""Adds up what came of the users of every experiment, and says what can be said of the differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, Final, Literal, NamedTuple, Self

from online_models import snapshots
from online_models.errors import CorruptStateError
from online_models.events import Floats
from online_models.experiments.confidence import MeanSequences
from online_models.experiments.outcomes import MEASURES, ExperimentOutcomes
from online_models.experiments.paired import PairedDifferences

Verdict = Literal["better", "worse", "open"]

STATE_ROW: Final = b"\0experiments"
MAX_ARMS: Final = 64
"""Variants that are kept; of more, those of the experiment that had no outcome for the longest time go."""

_KIND: Final = "experiments"
_VERSION: Final = 1
_GROWTH: Final = 0.02
_MOST: Final = 1_000
_TOO_UNEVEN: Final = 4.0
"""Standard deviations from even shares; such an experiment is broken somewhere."""


class Estimate(NamedTuple):
    """One measure of one variant.

    Parameters
    ----------
    users
        Of whom it is known.
    rate, low, high
        Mean, with its bounds.
    difference, difference_low, difference_high
        To the control, with bounds that hold for all variants together, whenever one looks.
    verdict
        ``better`` or ``worse`` once the bounds exclude 0; the control itself stays ``open``.
    """

    users: int
    rate: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    verdict: Verdict


class VariantReport(NamedTuple):
    """One variant: its users, and its measures by name."""

    name: str
    control: bool
    users: int
    measures: dict[str, Estimate]


class ExperimentReport(NamedTuple):
    """One experiment.

    Parameters
    ----------
    name
        Of the experiment.
    began_ms, latest_ms
        Begin of the first window and end of the latest, epoch milliseconds.
    uneven
        Whether variants have shares of users that chance does not explain.
    variants
        The control first.
    """

    name: str
    began_ms: int
    latest_ms: int
    uneven: bool
    variants: list[VariantReport]


@dataclass(slots=True)
class _Arm:
    control: bool
    began_ms: int
    latest_ms: int
    users: int
    means: MeanSequences
    differences: PairedDifferences


class ExperimentBook:
    """Sums by experiment and variant.

    Attributes
    ----------
    version
        How often it was due to be published.
    outcomes
        Users added so far.
    """

    def __init__(self) -> None:
        self.version = self.outcomes = 0
        self._published_at = 0
        self._arms: dict[tuple[str, str], _Arm] = {}
        self._dirty = False

    def apply(self, outcomes: ExperimentOutcomes) -> bool:
        """Add outcomes one by one, in order; return whether the book fell due to be published on the way."""
        due = False
        columns = zip(
            outcomes.experiment,
            outcomes.variant,
            outcomes.control.tolist(),
            outcomes.began_ms.tolist(),
            outcomes.ended_ms.tolist(),
            strict=True,
        )
        for place, (experiment, variant, control, began_ms, ended_ms) in enumerate(columns):
            arm = self._arms.get((experiment, variant))
            if arm is None:
                self._make_room(experiment)
                width = len(MEASURES)
                means, differences = MeanSequences(width), PairedDifferences(width)
                arm = _Arm(bool(control), began_ms, ended_ms, 0, means, differences)
                self._arms[experiment, variant] = arm
            arm.users += 1
            arm.began_ms, arm.latest_ms = min(arm.began_ms, began_ms), max(arm.latest_ms, ended_ms)
            arm.means.update(outcomes.measures[place])
            self._compare(experiment, arm, outcomes.measures[place])
            self.outcomes += 1
            fresh = self.outcomes - self._published_at
            if fresh >= min(_MOST, max(1, int(self._published_at * _GROWTH))):
                self.version += 1
                self._published_at, due = self.outcomes, True
        self._dirty |= len(outcomes) > 0
        return due

    def report(self, alpha: float = 0.05) -> list[ExperimentReport]:
        """Return every experiment, the one with the newest outcome first.

        Parameters
        ----------
        alpha
            Chance that any bound of an experiment's measure is wrong at any time.
        """
        names = dict.fromkeys(name for name, _ in self._arms)
        found = [self._experiment(name, alpha) for name in names]
        return sorted(found, key=lambda one: (-one.latest_ms, one.name))

    def state(self) -> dict[str, Any]:
        """Return the sums as plain numbers and strings."""
        arms = [
            [
                *(*key, arm.control, arm.began_ms, arm.latest_ms, arm.users),
                *(arm.means.state(), arm.differences.state()),
            ]
            for key, arm in self._arms.items()
        ]
        return {
            "version": self.version,
            "outcomes": self.outcomes,
            "published_at": self._published_at,
            "measures": list(MEASURES),
            "arms": arms,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the book that `state` described.

        Raises
        ------
        CorruptStateError
            When it holds other measures.
        """
        book = cls()
        with snapshots.reading(_KIND):
            if tuple(state["measures"]) != MEASURES:
                raise CorruptStateError(f"experiments measure {state['measures']}")
            book.version, book.outcomes = index(state["version"]), index(state["outcomes"])
            book._published_at = index(state["published_at"])
            for experiment, variant, control, began_ms, latest_ms, users, means, pairs in state["arms"]:
                book._arms[str(experiment), str(variant)] = _Arm(
                    bool(control),
                    index(began_ms),
                    index(latest_ms),
                    index(users),
                    MeanSequences.from_state(means, len(MEASURES)),
                    PairedDifferences.from_state(pairs, len(MEASURES)),
                )
        return book

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the row of everything added up, if it has changed since the last call."""
        if not self._dirty:
            return []
        self._dirty = False
        return [(STATE_ROW, snapshots.pack(_KIND, _VERSION, self.state()))]

    @classmethod
    def restore(cls, value: bytes) -> Self:
        """Return the book of the row that `dirty_rows` returned.

        Raises
        ------
        CorruptStateError
            When it is something else.
        """
        return cls.from_state(snapshots.unpack(_KIND, _VERSION, value))

    def _compare(self, experiment: str, arm: _Arm, measures: Floats) -> None:
        """Pair a user with one of the other side: one of the control with one of every variant."""
        for (name, _), other in self._arms.items():
            if name == experiment and not other.control and (arm.control or arm is other):
                other.differences.add(measures, control=arm.control)

    def _experiment(self, name: str, alpha: float) -> ExperimentReport:
        arms = {variant: arm for (experiment, variant), arm in self._arms.items() if experiment == name}
        order = sorted(arms, key=lambda variant: (not arms[variant].control, variant))
        share = alpha / max(1, len(arms) - 1)
        control = arms[order[0]] if arms[order[0]].control else None
        users = sum(arm.users for arm in arms.values())
        even = users / len(arms)
        spread = (even * (1 - 1 / len(arms))) ** 0.5
        return ExperimentReport(
            name,
            min(arm.began_ms for arm in arms.values()),
            max(arm.latest_ms for arm in arms.values()),
            any(abs(arm.users - even) > _TOO_UNEVEN * spread for arm in arms.values()),
            [
                VariantReport(variant, arm.control, arm.users, _estimates(arm, control, share))
                for variant, arm in ((variant, arms[variant]) for variant in order)
            ],
        )

    def _make_room(self, experiment: str) -> None:
        """Forget the experiment that is over longest, or the oldest arm where all are of this one."""
        if len(self._arms) < MAX_ARMS:
            return
        latest: dict[str, int] = {}
        for (name, _), arm in self._arms.items():
            if name != experiment:
                latest[name] = max(latest.get(name, 0), arm.latest_ms)
        if not latest:
            del self._arms[min(self._arms, key=lambda key: (self._arms[key].latest_ms, key))]
            return
        oldest = min(latest, key=lambda name: (latest[name], name))
        for key in [key for key in self._arms if key[0] == oldest]:
            del self._arms[key]


def _estimates(arm: _Arm, control: _Arm | None, alpha: float) -> dict[str, Estimate]:
    low, high = arm.means.interval(alpha)
    under, over = arm.differences.interval(alpha)
    found = {}
    for place, name in enumerate(MEASURES):
        rate = float(arm.means.mean[place])
        difference, lower, upper = 0.0, 0.0, 0.0
        if control is not None and control is not arm:
            difference = rate - float(control.means.mean[place])
            lower, upper = float(under[place]), float(over[place])
        verdict: Verdict = "better" if lower > 0 else "worse" if upper < 0 else "open"
        bounds = float(low[place]), float(high[place])
        users = int(arm.means.count[place])
        found[name] = Estimate(users, rate, *bounds, difference, lower, upper, verdict)
    return found
