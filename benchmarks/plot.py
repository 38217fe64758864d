"""Plots as SVG, without a library: horizontal bars, readable on light and on dark pages."""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

_WIDTH: Final = 760
_ROW: Final = 26
_TOP: Final = 42
_LABEL: Final = 280
_VALUE: Final = 90
_STYLE: Final = """<style>
text { font: 13px system-ui, sans-serif; fill: #0f172a }
.title { font-weight: 600 }
.page { fill: #ffffff }
.own { fill: #2563eb }
.other { fill: #94a3b8 }
@media (prefers-color-scheme: dark) {
text { fill: #e2e8f0 }
.page { fill: #0d1117 }
.own { fill: #60a5fa }
.other { fill: #64748b }
}
</style>"""


class Bar(NamedTuple):
    """One bar.

    Parameters
    ----------
    name
        At its left.
    value
        Its length.
    own
        Whether it is Keepstream's; others are grey.
    """

    name: str
    value: float
    own: bool = True


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Return horizontal bars as an SVG image.

    Raises
    ------
    ValueError
        If there is nothing to show, or a value is negative.
    """
    if not rows or min(row.value for row in rows) < 0:
        raise ValueError(f"bars of {title!r} need values of 0 and more, got {list(rows)}")
    longest = max(row.value for row in rows) or 1.0
    height = _TOP + _ROW * len(rows) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        _STYLE,
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
    ]
    for place, row in enumerate(rows):
        y = _TOP + _ROW * place
        length = max(1.0, (_WIDTH - _LABEL - _VALUE) * row.value / longest)
        parts += [
            f'<text x="{_LABEL - 10}" y="{y + 14}" text-anchor="end">{escape(row.name)}</text>',
            (
                f'<rect class="{"own" if row.own else "other"}" x="{_LABEL}" y="{y}" '
                f'width="{length:.1f}" height="18" rx="2"/>'
            ),
            f'<text x="{_LABEL + length + 8:.1f}" y="{y + 14}">{_short(row.value)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
