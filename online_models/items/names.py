"""Texts behind hashes: the ids and category names that rows of fixed size can only point at."""

from collections.abc import Iterable, Sequence
from typing import Final

from online_models import snapshots
from online_models.errors import CorruptStateError, blame
from online_models.events import UInt64s

NAME_KEY: Final = b"\0name:"
_MARGIN: Final = 10_000


class Names:
    """Texts by their hash, saved row by row and bounded by what is still pointed at.

    Attributes
    ----------
    text
        By hash; to be read only.

    Examples
    --------
    >>> names = Names()
    >>> names.note([7], ["sku-7"])
    >>> copy = Names()
    >>> copy.restore(names.dirty_rows())
    >>> copy.get(7), copy.get(8)
    ('sku-7', '')
    """

    def __init__(self) -> None:
        self.text: dict[int, str] = {}
        self._dirty: dict[int, None] = {}
        self._limit = _MARGIN

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.text)

    def get(self, value: int) -> str:
        """Return the text of a hash, "" where it is not known."""
        return self.text.get(value, "")

    def note(self, hashes: Sequence[int], texts: Sequence[str]) -> None:
        """Remember texts by their hashes; empty texts teach nothing."""
        known = self.text
        for value, text in zip(hashes, texts, strict=True):
            if value not in known and text:
                known[value] = text
                self._dirty[value] = None

    @property
    def overgrown(self) -> bool:
        """Whether so many texts came since the last sweep that another one pays."""
        return len(self.text) > self._limit

    def sweep(self, wanted: UInt64s) -> None:
        """Forget every text whose hash is not among the `wanted` ones."""
        keep = set(wanted.tolist())
        for value in [value for value in self.text if value not in keep]:
            del self.text[value]
            self._dirty[value] = None
        self._limit = 2 * len(self.text) + _MARGIN

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return what changed since the last call as rows; None marks a forgotten text."""
        changed: list[tuple[bytes, bytes | None]] = []
        for value in self._dirty:
            text = self.text.get(value)
            changed.append((NAME_KEY + value.to_bytes(8, "big"), None if text is None else text.encode()))
        self._dirty.clear()
        return changed

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them; they count as clean.

        Raises
        ------
        CorruptStateError
            When a key or a text is something else.
        """
        start = len(NAME_KEY)
        for key, text in rows:
            if len(key) != start + 8:
                raise CorruptStateError(f"row {key!r} has a key of {len(key)} bytes", key)
            value = int.from_bytes(key[start:], "big")
            if text is None:
                self.text.pop(value, None)
                continue
            with blame(key), snapshots.reading("name"):
                self.text[value] = text.decode()
        self._limit = max(self._limit, 2 * len(self.text) + _MARGIN)
