"""Rows of text in columns: never cut, so that they can be read in a pipe as well as on a terminal."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Return rows as lines with their columns below each other; the last column ends where it ends.

    Parameters
    ----------
    rows
        Cells; every row has the same number.
    right
        Columns, from 0, that are aligned at their right.

    >>> aligned([("reason", "count"), ("not_json", "7")], right=[1])
    ['reason    count', 'not_json      7']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
