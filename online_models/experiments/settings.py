"""What is tried on whom: experiments, their variants, and the bucket of a user."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self

from online_models.errors import InvalidParameterError
from online_models.events import hash_id
from online_models.items.policy import PolicySettings

RankerChoice = Literal["learned", "base"]

MAX_EXPERIMENTS: Final = 4
MAX_VARIANTS: Final = 5
_DAY_MS: Final = 86_400_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_RANKERS: Final = ("learned", "base")
_POLICY: Final = ("diversity", "popularity_damping", "category_share", "cold_share")


@dataclass(frozen=True, slots=True)
class Variant:
    """What a bucket of users gets.

    Parameters
    ----------
    name
        Of the variant.
    policy
        Settings of the list policy that differ, by name.
    ranker
        What orders candidates: the learned ranker, or the fixed weights; None leaves it as it is.
    """

    name: str
    policy: Mapping[str, float] = field(default_factory=dict)
    ranker: RankerChoice | None = None

    def applied_to(self, policy: PolicySettings) -> PolicySettings:
        """Return a list policy as this variant has it."""
        changes: dict[str, Any] = dict(self.policy)
        return replace(policy, **changes)


@dataclass(frozen=True, slots=True)
class Experiment:
    """Variants between which users are split evenly; the first one is the control.

    Parameters
    ----------
    name
        Draws the buckets: another name draws others.
    variants
        Two to five of them.

    Raises
    ------
    InvalidParameterError
        When a name is none, comes twice, or a variant changes what cannot be changed.

    Examples
    --------
    >>> trial = Experiment.parse("spread/control/mmr:diversity=0.3+cold_share=0")
    >>> [variant.name for variant in trial.variants], trial.variants[1].policy
    (['control', 'mmr'], {'diversity': 0.3, 'cold_share': 0.0})
    >>> trial.variant_of("u:c-4711").name
    'mmr'
    """

    name: str
    variants: tuple[Variant, ...]

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.variants]
        for name in (self.name, *names):
            if not _NAME.fullmatch(name):
                raise InvalidParameterError(
                    f"experiments and variants have names of a-z, 0-9, _ and -, at most 32, got {name!r}"
                )
        if len(set(names)) < len(names):
            raise InvalidParameterError(f"experiment {self.name!r} has two variants of one name: {names}")
        if not 2 <= len(names) <= MAX_VARIANTS:
            raise InvalidParameterError(
                f"experiment {self.name!r} needs 2 to {MAX_VARIANTS} variants, got {len(names)}"
            )

    @property
    def control(self) -> str:
        """Name of the variant that the others are compared with."""
        return self.variants[0].name

    def variant_of(self, subject: str) -> Variant:
        """Return the variant that a subject sees, always the same."""
        return self.variants[hash_id(f"{self.name}\0{subject}") * len(self.variants) >> 64]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the experiment that a text describes: ``NAME/CONTROL/VARIANT:KEY=VALUE+KEY=VALUE/...``.

        Raises
        ------
        InvalidParameterError
            When it describes none.
        """
        name, *variants = text.strip().split("/")
        return cls(name, tuple(_variant(name, part) for part in variants))


@dataclass(frozen=True, slots=True)
class ExperimentSettings:
    """All experiments, and how their users are followed.

    Parameters
    ----------
    experiments
        At most four.
    window_ms
        How long a user is followed after the first list, milliseconds.
    lateness_ms
        How much later than its time an event may come, milliseconds.
    max_users
        Users of a partition that are followed; further ones see variants and do not count.

    Raises
    ------
    InvalidParameterError
        When a value is out of range.
    """

    experiments: tuple[Experiment, ...] = ()
    window_ms: int = 7 * _DAY_MS
    lateness_ms: int = 3_600_000
    max_users: int = 100_000

    def __post_init__(self) -> None:
        names = [experiment.name for experiment in self.experiments]
        if len(names) > MAX_EXPERIMENTS or len(set(names)) < len(names):
            raise InvalidParameterError(
                f"there may be {MAX_EXPERIMENTS} experiments, each of its own name, got {names}"
            )
        for name, least in (("window_ms", 1), ("lateness_ms", 0), ("max_users", 1)):
            if getattr(self, name) < least:
                raise InvalidParameterError(f"{name} must be at least {least}, got {getattr(self, name)}")


def _variant(experiment: str, text: str) -> Variant:
    name, _, changes = text.partition(":")
    policy: dict[str, float] = {}
    ranker: RankerChoice | None = None
    for change in filter(None, changes.split("+")):
        key, _, value = change.partition("=")
        if key == "ranker" and value in _RANKERS:
            ranker = "learned" if value == "learned" else "base"
        elif key in _POLICY:
            policy[key] = _number(experiment, name, change, value)
        else:
            known = ", ".join((*_POLICY, "ranker=learned", "ranker=base"))
            raise InvalidParameterError(
                f"variant {name!r} of {experiment!r} cannot change {change!r}; it can: {known}"
            )
    variant = Variant(name, policy, ranker)
    variant.applied_to(PolicySettings())
    return variant


def _number(experiment: str, variant: str, change: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InvalidParameterError(
            f"variant {variant!r} of {experiment!r}: {change!r} needs a number"
        ) from None
