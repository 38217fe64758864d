"""What the shop has to say about lists: its catalogue and its rules, applied to candidates."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from online_models.events import Floats, Int64s, UInt64s, hash_id
from online_models.items.catalogue import ABSENT, Catalogue
from online_models.items.rules import InForce, RuleBook
from online_models.items.slots import Bools
from online_models.items.source import NeighbourSource

_OF_CATALOGUE = 2**62
"""Added to category codes of the catalogue, so that none equals one of the events' categories."""


class Verdict(NamedTuple):
    """What the shop says of candidates.

    Parameters
    ----------
    out
        (c,) which may not be listed.
    bonus
        (c,) what is added to their scores.
    """

    out: Bools
    bonus: Floats


class _Asked(NamedTuple):
    """Items that are asked for: their rows in the source, hashes, and rows in the catalogue."""

    rows: Int64s
    hashes: UInt64s
    at: Int64s


class _Places:
    """Where the items of a source lie in the catalogue, remembered by their rows: dictionaries are slow."""

    def __init__(self) -> None:
        self._moves = -1
        self._hash = np.zeros(0, np.uint64)
        self._place = np.zeros(0, np.int64)

    def find(self, catalogue: Catalogue, rows: Int64s, hashes: UInt64s, size: int) -> Int64s:
        """Return rows of the catalogue for rows (n,) of a source of a size, which hold these items."""
        if self._moves != catalogue.moves or self._hash.size < size:
            self._moves = catalogue.moves
            self._hash, self._place = np.zeros(size, np.uint64), np.full(size, ABSENT, np.int64)
        # A row of the source may hold another item than it did.
        new = np.flatnonzero(self._hash[rows] != hashes)
        if new.size:
            at = rows[new]
            self._place[at] = catalogue.rows_of(hashes[new])
            self._hash[at] = hashes[new]
        return self._place[rows]


@dataclass(frozen=True, slots=True)
class Shop:
    """The catalogue and the rules of a shop.

    Parameters
    ----------
    catalogue, rules
        As they were broadcast; both may grow at any time.
    complete
        Whether what is missing in a catalogue that has items is not sold: it is not listed then.
    """

    catalogue: Catalogue = field(default_factory=Catalogue)
    rules: RuleBook = field(default_factory=RuleBook)
    complete: bool = True
    _places: _Places = field(default_factory=_Places, repr=False, compare=False)

    def sells(self, hashes: UInt64s, now_ms: int) -> Bools:
        """Return which items (n,) can be bought at an event time, as far as the catalogue says."""
        if not len(self.catalogue):
            return np.ones(hashes.shape, np.bool_)
        return self._sold(self.catalogue.rows_of(hashes), now_ms)

    def _sold(self, rows: Int64s, now_ms: int) -> Bools:
        """Return which rows of a catalogue that has items can be bought."""
        known = rows >= 0
        return np.where(known, self.catalogue.available(np.maximum(rows, 0), now_ms), not self.complete)

    def judge(self, rows: Int64s, source: NeighbourSource, now_ms: int) -> Verdict:
        """Return what is to be left out of candidates (c,), and what moves the others.

        Parameters
        ----------
        rows, source
            The candidates, and where their rows belong.
        now_ms
            Present event time, epoch milliseconds.
        """
        rules = self.rules.at(now_ms) if len(self.rules) else None
        if rules is None and not len(self.catalogue):
            return Verdict(np.zeros(rows.size, np.bool_), np.zeros(rows.size))
        hashes = source.hashes(rows)
        asked = _Asked(rows, hashes, self._find(rows, hashes, source))
        out = ~self._sold(asked.at, now_ms) if len(self.catalogue) else np.zeros(rows.size, np.bool_)
        bonus = np.zeros(rows.size)
        if rules is not None:
            for kind, names in rules.blocked.items():
                for name in names:
                    out |= self._is(kind, name, asked, source)
            for kind, factors in rules.boosts.items():
                for name, amount in factors.items():
                    bonus[self._is(kind, name, asked, source)] += amount
        return Verdict(out, bonus)

    def blocks(self, hashes: UInt64s, rules: InForce) -> Bools:
        """Return which items (n,) a rule leaves out, as far as the catalogue knows them."""
        at = self.catalogue.rows_of(hashes)
        out = np.isin(hashes, [hash_id(name) for name in rules.blocked["item"]])
        for kind, codes in (
            ("category", self.catalogue.categories(at)),
            ("brand", self.catalogue.brands(at)),
        ):
            code_of = self.catalogue.category_code if kind == "category" else self.catalogue.brand_code
            out |= np.isin(codes, [code_of(name) for name in rules.blocked[kind]])
        return out

    def categories(self, rows: Int64s, source: NeighbourSource) -> Int64s:
        """Return category codes of rows of a source, of any shape; 0 where neither it nor we know one."""
        known = rows >= 0
        codes = np.zeros(rows.shape, np.int64)
        codes[known] = source.categories(rows[known])
        if not len(self.catalogue):
            return codes
        told = np.zeros(rows.shape, np.int64)
        held = rows[known]
        told[known] = self.catalogue.categories(self._find(held, source.hashes(held), source))
        return np.where(told > 0, told + _OF_CATALOGUE, codes)

    def _find(self, rows: Int64s, hashes: UInt64s, source: NeighbourSource) -> Int64s:
        if not len(self.catalogue):
            return np.full(rows.shape, ABSENT, np.int64)
        return self._places.find(self.catalogue, rows, hashes, source.size)

    def _is(self, kind: str, name: str, asked: _Asked, source: NeighbourSource) -> Bools:
        """Return which items are the item, or of the category or brand, of this name."""
        if kind == "item":
            return np.asarray(asked.hashes == np.uint64(hash_id(name)), np.bool_)
        if kind == "brand":
            return np.asarray(self.catalogue.brands(asked.at) == self.catalogue.brand_code(name), np.bool_)
        told = self.catalogue.categories(asked.at)
        # What events say counts where the catalogue says nothing.
        seen = source.categories(asked.rows) == source.category_code(name)
        return np.where(told > 0, told == self.catalogue.category_code(name), np.asarray(seen, np.bool_))
