"""What the shop demands of lists: items pinned to a place, left out, or moved up and down."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from online_models.errors import InvalidParameterError

RuleAction = Literal["pin", "block", "boost"]

MAX_RULES: Final = 1_000
"""Rules in force at most; further ones are refused."""

MAX_FACTOR: Final = 1_000.0
MAX_POSITION: Final = 200
_FOREVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand.

    Parameters
    ----------
    rule_id
        Name of the rule; a later rule of the same name replaces it.
    action
        ``pin`` puts an item at a place of every list, ``block`` leaves out, ``boost`` multiplies the odds.
    item_id, category, brand
        What it is about: exactly one of them; a pin is about an item.
    position
        Of a pin: the place in the list, from 1.
    factor
        Of a boost: above 1 moves up, below 1 down.
    from_ms, until_ms
        Event time in which it is in force, end excluded; 0 leaves an end open.

    Raises
    ------
    InvalidParameterError
        When the parts do not fit each other, or a number is out of range.

    Examples
    --------
    >>> Rule("sale", "boost", category="toys", factor=2.0).target
    ('category', 'toys')
    >>> Rule("sale", "boost", category="toys", item_id="a", factor=2.0)
    Traceback (most recent call last):
        ...
    online_models.errors.InvalidParameterError: rule 'sale' needs one of item_id, category and brand, got 2
    """

    rule_id: str
    action: RuleAction
    item_id: str = ""
    category: str = ""
    brand: str = ""
    position: int = 0
    factor: float = 1.0
    from_ms: int = 0
    until_ms: int = 0

    def __post_init__(self) -> None:
        targets = sum(bool(text) for text in (self.item_id, self.category, self.brand))
        if targets != 1:
            raise self._wrong(f"needs one of item_id, category and brand, got {targets}")
        if self.action == "pin" and not (self.item_id and 1 <= self.position <= MAX_POSITION):
            raise self._wrong(f"pins an item_id to a position of 1 to {MAX_POSITION}, got {self.position}")
        if self.action != "pin" and self.position:
            raise self._wrong(f"has a position, {self.position}, and pins nothing")
        if self.action == "boost" and not 1 / MAX_FACTOR <= self.factor <= MAX_FACTOR:
            raise self._wrong(f"needs a factor of {1 / MAX_FACTOR} to {MAX_FACTOR:g}, got {self.factor}")
        if self.action != "boost" and self.factor != 1.0:
            raise self._wrong(f"has a factor, {self.factor}, and boosts nothing")
        if self.from_ms < 0 or (self.until_ms and self.until_ms <= self.from_ms):
            raise self._wrong(f"ends at {self.until_ms}, which is not after its begin at {self.from_ms}")

    @property
    def target(self) -> tuple[Literal["item", "category", "brand"], str]:
        """What it is about: the kind, and which one."""
        if self.item_id:
            return "item", self.item_id
        return ("category", self.category) if self.category else ("brand", self.brand)

    def _wrong(self, text: str) -> InvalidParameterError:
        return InvalidParameterError(f"rule {self.rule_id!r} {text}")


class Pin(NamedTuple):
    """An item and its place in the list, from 0."""

    place: int
    item_id: str


class InForce(NamedTuple):
    """The rules of a moment.

    Parameters
    ----------
    pins
        By place; of two that want the same place, the rule that comes first by name has it.
    blocked
        By kind of target: what is left out.
    boosts
        By kind of target and target: what is added to the score, the logarithm of the factors.
    """

    pins: list[Pin]
    blocked: dict[str, set[str]]
    boosts: dict[str, dict[str, float]]


class RuleBook:
    """All rules, and those in force at a moment.

    Examples
    --------
    >>> book = RuleBook()
    >>> book.upsert([Rule("a", "block", brand="Acme", until_ms=2_000)])
    []
    >>> book.at(1_999).blocked["brand"], book.at(2_000).blocked["brand"]
    ({'Acme'}, set())
    """

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self._in_force = _compiled(())
        self._holds_from, self._holds_until = 0, _FOREVER

    def __len__(self) -> int:
        """Return the number of rules, in force or not."""
        return len(self.rules)

    def upsert(self, rules: Sequence[Rule]) -> list[int]:
        """Take rules over; return the places of those refused because there are too many."""
        refused = []
        for place, rule in enumerate(rules):
            if rule.rule_id not in self.rules and len(self.rules) >= MAX_RULES:
                refused.append(place)
            else:
                self.rules[rule.rule_id] = rule
        self._holds_until = 0
        return refused

    def remove(self, names: Sequence[str]) -> None:
        """Forget rules; those not known are passed over."""
        for name in names:
            self.rules.pop(name, None)
        self._holds_until = 0

    def at(self, now_ms: int) -> InForce:
        """Return the rules in force at an event time, epoch milliseconds."""
        if not self._holds_from <= now_ms < self._holds_until:
            bounds = {0, _FOREVER}
            for rule in self.rules.values():
                bounds |= {rule.from_ms, rule.until_ms or _FOREVER}
            self._holds_from = max(bound for bound in bounds if bound <= now_ms)
            self._holds_until = min(bound for bound in bounds if bound > now_ms)
            self._in_force = _compiled(
                [rule for _, rule in sorted(self.rules.items()) if _holds(rule, now_ms)]
            )
        return self._in_force


def _holds(rule: Rule, now_ms: int) -> bool:
    return rule.from_ms <= now_ms < (rule.until_ms or _FOREVER)


def _compiled(rules: Sequence[Rule]) -> InForce:
    found = InForce(
        [],
        {"item": set(), "category": set(), "brand": set()},
        {"item": {}, "category": {}, "brand": {}},
    )
    for rule in rules:
        kind, name = rule.target
        if rule.action == "block":
            found.blocked[kind].add(name)
        elif rule.action == "boost":
            held = found.boosts[kind]
            held[name] = held.get(name, 0.0) + math.log(rule.factor)
        elif rule.position - 1 not in {pin.place for pin in found.pins}:
            found.pins.append(Pin(rule.position - 1, name))
    found.pins.sort()
    return found
