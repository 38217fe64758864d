"""The shop's items: categories, brands, prices, families that go together, and popularity that drifts."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streams.schemas import CatalogItem
from streams.sources.simulator.config import DAY_MS, ShopConfig

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FAMILY: Final = 8
"""Items next to each other in a category that people look at one after the other."""

_STEPS: Final = np.array([1, 2, -1, 3])
_STEP_SHARES: Final = np.array([0.5, 0.25, 0.15, 0.1])
_LAUNCH_SHARE: Final = 0.25
_LAUNCH_BOOST: Final = 4.0
_DRIFT_A_DAY: Final = 0.08
_DRIFT_MEMORY: Final = 0.98

_WORDS: Final = [
    "sneakers",
    "headphones",
    "backpacks",
    "lamps",
    "jackets",
    "watches",
    "puzzles",
    "mugs",
    "tents",
    "keyboards",
    "sunglasses",
    "scarves",
    "speakers",
    "notebooks",
    "blankets",
    "pans",
    "yoga-mats",
    "candles",
    "cameras",
    "perfumes",
]
_SYLLABLES: Final = ["ka", "lo", "mi", "ra", "ven", "tor", "su", "bel", "no", "fi", "dar", "zen"]


class Catalogue:
    """Items in order of category and family.

    Parameters
    ----------
    config
        Size of the catalogue.
    rng
        Source of randomness.
    """

    def __init__(self, config: ShopConfig, rng: np.random.Generator) -> None:
        shares = 1.0 / np.arange(1, config.categories + 1) ** 0.6
        extra = config.items - FAMILY * config.categories
        counts = FAMILY + rng.multinomial(extra, shares / shares.sum())
        self.start = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        self.category: Ints = np.repeat(np.arange(config.categories), counts)
        self.brand: Ints = (self.category * 7 + rng.integers(0, 5, config.items)) % config.brands
        level = rng.lognormal(3.4, 0.7, config.categories)
        self.base_price = np.round(level[self.category] * rng.lognormal(0, 0.35, config.items), 2) + 0.49
        self.quality: Floats = rng.beta(6, 2, config.items)
        self._family_start, self._family_size = _families(self.start, self.category)
        self.launch_day: Ints = np.where(
            rng.random(config.items) < _LAUNCH_SHARE, rng.integers(1, 120, config.items), 0
        )
        # The first item of every category exists from the start, so that there is always one to show.
        self.launch_day[self.start[:-1]] = 0
        self._base: Floats = rng.pareto(1.3, config.items) + 0.1
        self._drift = np.zeros(config.items)
        self.price_factor = np.ones(config.categories)
        self.price_version = 0
        self.hiked_day: Ints = np.full(config.categories, -1_000)
        self.category_names = [_category_name(index) for index in range(config.categories)]
        self.brand_names = [_brand_name(index) for index in range(config.brands)]
        self.partner: Ints = np.empty(config.items, np.int64)
        self.shuffle_partners(rng)
        self.begin_day(0, rng)

    def shuffle_partners(self, rng: np.random.Generator) -> None:
        """Decide anew which families of different categories go together."""
        family_starts = np.unique(self._family_start)
        targets = rng.permutation(family_starts)
        self.partner = targets[np.searchsorted(family_starts, self._family_start)]

    def begin_day(self, day: int, rng: np.random.Generator) -> None:
        """Let popularity drift and bring today's new items on show."""
        self._drift = _DRIFT_MEMORY * self._drift + rng.normal(0, _DRIFT_A_DAY, len(self._drift))
        age = day - self.launch_day
        on_show = age >= 0
        fresh = (self.launch_day > 0) & on_show
        boost = 1 + np.where(fresh, _LAUNCH_BOOST * np.exp(-age.clip(0) / 7), 0.0)
        weights = np.where(on_show, self._base * np.exp(self._drift) * boost, 0.0)
        self._on_show = on_show
        self._cumulated = np.concatenate(([0.0], np.cumsum(weights)))

    def raise_price(self, day: int, rng: np.random.Generator) -> None:
        """Make one category dearer for good."""
        category = int(rng.integers(len(self.price_factor)))
        self.price_factor[category] *= rng.uniform(1.15, 1.35)
        self.hiked_day[category] = day
        self.price_version += 1

    def popular(self, categories: Ints, rng: np.random.Generator) -> Ints:
        """Return one item for each category, by today's popularity."""
        low, high = self._cumulated[self.start[categories]], self._cumulated[self.start[categories + 1]]
        found = np.searchsorted(self._cumulated, low + rng.random(len(low)) * (high - low), side="right") - 1
        items: Ints = found.clip(self.start[categories], self.start[categories + 1] - 1)
        return items

    def relative(self, items: Ints, rng: np.random.Generator) -> Ints:
        """Return for each item another of its family: most often the next one."""
        step = rng.choice(_STEPS, len(items), p=_STEP_SHARES)
        start = self._family_start[items]
        return self._shown(start + (items - start + step) % self._family_size[items], items)

    def complement(self, items: Ints, rng: np.random.Generator) -> Ints:
        """Return for each item one of the family that goes with its own."""
        start = self.partner[items]
        return self._shown(start + rng.integers(0, 3, len(items)) % self._family_size[start], items)

    def price(self, items: Ints) -> Floats:
        """Return today's prices."""
        return np.round(self.base_price[items] * self.price_factor[self.category[items]], 2)

    def family(self, item: int) -> list[int]:
        """Return the items of a family that are on show."""
        start, size = int(self._family_start[item]), int(self._family_size[item])
        return [index for index in range(start, start + size) if self._on_show[index]]

    def rows(self) -> list[dict[str, Any]]:
        """Return every item as it stands in events today."""
        prices = self.price(np.arange(len(self.category))).tolist()
        return [
            {
                "item_id": f"p{index:05d}",
                "item_category": self.category_names[category],
                "item_brand": self.brand_names[brand],
                "price": price,
            }
            for index, (category, brand, price) in enumerate(
                zip(self.category.tolist(), self.brand.tolist(), prices, strict=True)
            )
        ]

    def launched(self, day: int, start_ms: int) -> list[CatalogItem]:
        """Return the items on show today that were not yesterday, as the shop describes them.

        Parameters
        ----------
        day
            Today, from 0; on the first day everything on show is new.
        start_ms
            Midnight of day 0, epoch milliseconds.
        """
        fresh = self._on_show & ((self.launch_day == day) | (day == 0))
        rows = self.rows()
        return [
            CatalogItem(
                row["item_id"],
                row["item_category"],
                row["item_brand"],
                row["price"],
                title=f"{row['item_brand']} {row['item_category']} {row['item_id']}",
                since=start_ms + int(self.launch_day[index]) * DAY_MS,
            )
            for index, row in ((index, rows[index]) for index in np.flatnonzero(fresh).tolist())
        ]

    def _shown(self, wanted: Ints, else_items: Ints) -> Ints:
        return np.where(self._on_show[wanted], wanted, else_items)


def _families(starts: Ints, category: Ints) -> tuple[Ints, Ints]:
    """Return start and size of every item's family; the rest of a category joins its last family."""
    items = np.arange(len(category))
    begin, end = starts[category], starts[category + 1]
    last = begin + ((end - begin) // FAMILY - 1) * FAMILY
    start = np.minimum(begin + (items - begin) // FAMILY * FAMILY, last)
    return start, np.where(start == last, end - last, FAMILY)


def _category_name(index: int) -> str:
    return _WORDS[index] if index < len(_WORDS) else f"category-{index + 1}"


def _brand_name(index: int) -> str:
    base = len(_SYLLABLES)
    return (
        _SYLLABLES[index % base]
        + _SYLLABLES[(index * 5 + 3) % base]
        + (f"{index // base}" if index >= base else "")
    ).capitalize()
