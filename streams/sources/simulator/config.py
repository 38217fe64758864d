"""What a simulated shop is like."""

from dataclasses import dataclass
from typing import Final

from online_models.errors import InvalidParameterError

DAY_MS: Final = 86_400_000
START_MS: Final = 1_704_067_200_000
"""2024-01-01 UTC."""


@dataclass(frozen=True)
class ShopConfig:
    """Size, pace and fate of a simulated shop; equal configurations give equal events.

    Parameters
    ----------
    seed
        Of every random number.
    users
        Registered users at the start, somewhere between two visits.
    items, categories, brands
        Size of the catalogue.
    start_ms
        First moment, epoch milliseconds; a midnight UTC keeps days and hours aligned.
    days
        Length; None goes on for ever.
    arrivals_per_day
        New users a day; None is half a percent of `users`.
    visitors_per_day
        Visits a day by people who never sign up; None is two percent of `users`.
    gap_days
        Median over users of their mean time between two sessions.
    boredom
        Mean chance, at each session, that a user starts to lose interest.
    bad_delivery
        Share of purchases that arrive late, broken or not at all.
    price_hike_days
        A category becomes dearer every so many days.
    regime_day
        Day on which the shop changes: users lose interest twice as easily, tastes move to other categories,
        and other families of items go together. None never.
    """

    seed: int = 1
    users: int = 10_000
    items: int = 2_000
    categories: int = 20
    brands: int = 60
    start_ms: int = START_MS
    days: int | None = 90
    arrivals_per_day: float | None = None
    visitors_per_day: float | None = None
    gap_days: float = 4.0
    boredom: float = 0.03
    bad_delivery: float = 0.03
    price_hike_days: int = 12
    regime_day: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        InvalidParameterError
            If a value lies outside its range.
        """
        for name, least in (
            ("users", 0),
            ("categories", 1),
            ("brands", 1),
            ("price_hike_days", 1),
            ("seed", 0),
        ):
            _check(name, getattr(self, name), least)
        _check("items", self.items, 8 * self.categories)
        for name in ("days", "arrivals_per_day", "visitors_per_day", "regime_day"):
            if getattr(self, name) is not None:
                _check(name, getattr(self, name), 0)
        if not self.gap_days > 0:
            raise InvalidParameterError(f"gap_days must be positive, not {self.gap_days}")
        for name in ("boredom", "bad_delivery"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidParameterError(
                    f"{name} must be at least 0 and below 1, not {getattr(self, name)}"
                )

    @property
    def daily_arrivals(self) -> float:
        """New users a day."""
        return self.users * 0.005 if self.arrivals_per_day is None else self.arrivals_per_day

    @property
    def daily_visitors(self) -> float:
        """Anonymous visits a day."""
        return self.users * 0.02 if self.visitors_per_day is None else self.visitors_per_day


def _check(name: str, value: float, least: float) -> None:
    if value < least:
        raise InvalidParameterError(f"{name} must be at least {least}, not {value}")
