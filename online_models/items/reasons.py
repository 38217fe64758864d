"""Why an item is in a list, as a sentence."""

from collections.abc import Sequence

import numpy as np

from online_models.events import Int64s
from online_models.items.candidates import Candidates
from online_models.items.source import NeighbourSource


def explain(
    found: Candidates, places: Int64s, names: Sequence[Sequence[str]], source: NeighbourSource
) -> list[list[str]]:
    """Return a sentence for every listed item: the strongest of the ways in which it became a candidate.

    Parameters
    ----------
    found
        The candidates of n users.
    places
        (n, k) which of them are listed; -1, at the end of a row, where there are fewer.
    names
        n lists of the ids of what is listed.
    source
        Where the rows belong.
    """
    if not found.row.size:
        return [[] for _ in names]
    # One number for what is said: the touch that speaks times four, and how; the sentences repeat themselves.
    own, by = found.newest[places], found.by[places]
    said = np.where(own >= 0, 4 * own + _OWN, np.where(by >= 0, 4 * by + found.after[places], _POPULAR))
    touched = found.touched.tolist() if found.touched.shape[1] else [[-1]] * len(names)
    columns = zip(said.tolist(), places.tolist(), touched, names, strict=True)
    return [
        _sentences(source, numbers[: len(held)], found.row, listed, rows)
        for numbers, listed, rows, held in columns
    ]


_BEFORE, _AFTER, _OWN, _POPULAR = range(4)


def _sentences(
    source: NeighbourSource, said: list[int], row: Int64s, places: list[int], touched: list[int]
) -> list[str]:
    known = {number: _sentence(source, number, touched) for number in set(said) if number != _POPULAR}
    return [
        known[number] if number in known else _popular(source, int(row[place]), touched[0])
        for number, place in zip(said, places[: len(said)], strict=True)
    ]


def _sentence(source: NeighbourSource, said: int, touched: list[int]) -> str:
    position, how = divmod(said, 4)
    if how == _OWN:
        return _viewed(position + 1)
    name = source.item_id(touched[position]) or "what you viewed"
    return (
        f"people who viewed {name} next viewed this" if how == _AFTER else f"people viewed this before {name}"
    )


def _popular(source: NeighbourSource, row: int, last: int) -> str:
    category = source.category(row)
    alike = category and last >= 0 and source.category(last) == category
    return f"popular in {category}" if alike else "popular now"


def _viewed(steps: int) -> str:
    if steps == 1:
        return "you just viewed it"
    return "you viewed it 1 touch ago" if steps == 2 else f"you viewed it {steps - 1} touches ago"
