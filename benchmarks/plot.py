"""Plots as SVG, without a library: bars side by side, and parts of a whole."""

from collections.abc import Sequence
from html import escape
from typing import Final

_WIDTH: Final = 760
_ROW: Final = 26
_LABEL: Final = 270
_STYLE: Final = "font-family:system-ui,sans-serif;font-size:13px"
_COLOURS: Final = {True: "#2563eb", False: "#94a3b8"}


def bars(title: str, unit: str, rows: Sequence[tuple[str, float, bool]]) -> str:
    """Return horizontal bars.

    Parameters
    ----------
    title, unit
        What is shown, and in what.
    rows
        Name, value, and whether the bar is ours.
    """
    longest = max(value for _, value, _ in rows)
    height = 50 + _ROW * len(rows)
    space = _WIDTH - _LABEL - 110
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
            f'height="{height}" role="img" style="{_STYLE}">'
        ),
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="24" font-weight="600" fill="#0f172a">{escape(title)} ({escape(unit)})</text>',
    ]
    for place, (name, value, own) in enumerate(rows):
        y = 42 + _ROW * place
        length = max(1.0, space * value / longest)
        parts += [
            f'<text x="{_LABEL - 10}" y="{y + 14}" text-anchor="end" fill="#0f172a">{escape(name)}</text>',
            f'<rect x="{_LABEL}" y="{y}" width="{length:.1f}" height="18" rx="2" fill="{_COLOURS[own]}"/>',
            f'<text x="{_LABEL + length + 8:.1f}" y="{y + 14}" fill="#334155">{_short(value)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
