"""Settings of win-back: actions with their costs and budgets, and how decisions are randomised."""

import re
from dataclasses import dataclass
from typing import Final

from online_models.errors import InvalidParameterError

_ACTION: Final = re.compile(r"(\w+)(?::(\d+(?:\.\d+)?))?(?::(\d+))?")
NONE: Final = "none"
"""The action of doing nothing: always possible, free, and what the holdout gets."""


@dataclass(frozen=True, slots=True)
class ActionSettings:
    """One thing that can be done to win a user back.

    Parameters
    ----------
    name
        As in documents and metrics.
    cost
        What doing it once costs, in the currency of the events.
    daily_budget
        How often a day at most, over all partitions; None for no bound.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.
    """

    name: str
    cost: float = 0.0
    daily_budget: int | None = None

    def __post_init__(self) -> None:
        if (
            not self.name
            or self.name == NONE
            or not (self.name.isascii() and self.name.replace("_", "").isalnum())
        ):
            raise InvalidParameterError(
                f"name must be of letters, digits and underscores and not 'none', got {self.name!r}"
            )
        if not 0 <= self.cost < float("inf"):
            raise InvalidParameterError(f"cost must not be negative, got {self.cost}")
        if len(self.name) > 32:
            raise InvalidParameterError(f"name must be of 32 letters at most, got {self.name!r}")
        if self.daily_budget is not None and self.daily_budget < 0:
            raise InvalidParameterError(f"daily_budget must not be negative, got {self.daily_budget}")

    @classmethod
    def parse(cls, text: str) -> "ActionSettings":
        """Return the action that a text such as ``coupon:5:200`` (name, cost, daily budget) describes.

        Raises
        ------
        InvalidParameterError
            When it describes none.

        Examples
        --------
        >>> ActionSettings.parse("service_call:8:20"), ActionSettings.parse("push")
        (ActionSettings(name='service_call', cost=8.0, daily_budget=20), \
ActionSettings(name='push', cost=0.0, daily_budget=None))
        """
        match = _ACTION.fullmatch(text.replace(" ", ""))
        if match is None:
            raise InvalidParameterError(
                f"an action must be like coupon:5:200 (name, cost, daily budget), got {text!r}"
            )
        name, cost, budget = match.groups()
        return cls(name, float(cost or 0), None if budget is None else int(budget))


@dataclass(frozen=True, slots=True)
class WinbackSettings:
    """How win-back decisions are made.

    Parameters
    ----------
    actions
        What can be done; none at all turns decisions off.
    holdout
        Share of users, by a hash of their id, who are never treated.
    salt
        Enters that hash: another text draws another holdout.
    exploration
        Share of the decisions that is uniform over the possible actions; keeps every propensity above 0.
    return_value
        What a return is worth, in the currency of the events; costs are weighed against it.
    partitions
        Number of event partitions that share the daily budgets.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.
    """

    actions: tuple[ActionSettings, ...] = ()
    holdout: float = 0.1
    salt: str = ""
    exploration: float = 0.1
    return_value: float = 20.0
    partitions: int = 1

    def __post_init__(self) -> None:
        names = [action.name for action in self.actions]
        if len(set(names)) < len(names):
            raise InvalidParameterError(f"actions must have different names, got {', '.join(names)}")
        if not 0 <= self.holdout < 1:
            raise InvalidParameterError(f"holdout must be at least 0 and below 1, got {self.holdout}")
        if not 0 < self.exploration <= 1:
            raise InvalidParameterError(f"exploration must be above 0 and at most 1, got {self.exploration}")
        if not 0 < self.return_value < float("inf"):
            raise InvalidParameterError(f"return_value must be positive, got {self.return_value}")
        if self.partitions < 1:
            raise InvalidParameterError(f"partitions must be at least 1, got {self.partitions}")

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of what can be chosen, doing nothing first."""
        return (NONE, *(action.name for action in self.actions))

    def cost_of(self, arm: str) -> float:
        """Return what an arm costs; 0 for one that is no longer there."""
        return next((action.cost for action in self.actions if action.name == arm), 0.0)

    def daily_cap(self, arm: str) -> int | None:
        """Return how often a day one partition may choose an arm: its share, rounded up; None: any number."""
        budget = next((one.daily_budget for one in self.actions if one.name == arm), None)
        return None if budget is None else -(-budget // self.partitions)
