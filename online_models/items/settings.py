"""Settings of pair counting and of the broadcast of neighbours."""

from dataclasses import dataclass
from typing import Final

from online_models.errors import InvalidParameterError

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class CooccurrenceSettings:
    """How pairs are counted and how often neighbours are published.

    Parameters
    ----------
    slots
        Partners an item keeps, 1 to 1024; with fewer than before it keeps its strongest ones.
    half_life_ms
        Half-life of pair weights and popularity, milliseconds.
    lately_half_life_ms
        Half-life of the second, faster popularity ("lately"), milliseconds.
    published_partners
        Strongest partners that a neighbour row carries, 1 to `slots`.
    publish_growth
        A changed item is published once its touches have grown by this share since the last time; 0
        publishes every change.
    publish_interval_ms
        A changed item is published at the latest after this much event time, milliseconds.
    publish_pause_ms
        An item is not published again before this much broker time, milliseconds, unless every change is.
    max_items
        Beyond so many items of one partition those that have faded most are forgotten.
    state_ttl_ms
        An item that nobody touched for this long is forgotten, milliseconds.

    Raises
    ------
    InvalidParameterError
        When a value is outside its range.
    """

    slots: int = 64
    half_life_ms: int = 90 * _DAY_MS
    lately_half_life_ms: int = _DAY_MS
    published_partners: int = 50
    publish_growth: float = 0.05
    publish_interval_ms: int = 60_000
    publish_pause_ms: int = 5_000
    max_items: int = 250_000
    state_ttl_ms: int = 400 * _DAY_MS

    def __post_init__(self) -> None:
        if not 1 <= self.slots <= 1024:
            raise InvalidParameterError(f"slots must be 1 to 1024, got {self.slots}")
        if not 1 <= self.published_partners <= self.slots:
            raise InvalidParameterError(
                f"published_partners must be 1 to slots ({self.slots}), got {self.published_partners}"
            )
        if not 0.0 <= self.publish_growth < 100.0:
            raise InvalidParameterError(f"publish_growth must be 0 to 100, got {self.publish_growth}")
        if self.publish_pause_ms < 0:
            raise InvalidParameterError(f"publish_pause_ms must not be negative, got {self.publish_pause_ms}")
        for name in (
            "half_life_ms",
            "lately_half_life_ms",
            "publish_interval_ms",
            "max_items",
            "state_ttl_ms",
        ):
            if getattr(self, name) < 1:
                raise InvalidParameterError(f"{name} must be at least 1, got {getattr(self, name)}")
