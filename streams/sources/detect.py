"""Which layout a file has, by its first rows; unclear files are asked about, never guessed."""

from collections.abc import Mapping
from typing import Final

from streams.errors import SourceError
from streams.sources.cdnow import CdnowLayout
from streams.sources.complete_journey import CompleteJourneyLayout
from streams.sources.diginetica import DigineticaLayout
from streams.sources.ga4 import Ga4Layout
from streams.sources.head import Head
from streams.sources.layout import Layout
from streams.sources.mapped import MappedLayout, guesses
from streams.sources.mapping import HINT, FieldMapping
from streams.sources.native import NativeLayout
from streams.sources.online_retail import OnlineRetailLayout
from streams.sources.otto import OttoLayout
from streams.sources.rees46 import Rees46Layout
from streams.sources.retailrocket import RetailRocketLayout
from streams.sources.segment import SegmentLayout
from streams.sources.session_rec import SessionRecLayout
from streams.sources.yoochoose import YooChooseBuysLayout, YooChooseClicksLayout

LAYOUTS: Final[Mapping[str, Layout]] = {
    layout.name: layout
    for layout in (
        NativeLayout(),
        RetailRocketLayout(),
        Rees46Layout(),
        OttoLayout(),
        SessionRecLayout(),
        YooChooseClicksLayout(),
        YooChooseBuysLayout(),
        DigineticaLayout(),
        Ga4Layout(),
        SegmentLayout(),
        OnlineRetailLayout(),
        CdnowLayout(),
        CompleteJourneyLayout(),
        MappedLayout(),
    )
}
"""Every layout by the name `--format` takes."""

SURE: Final = 0.65
APART: Final = 0.1


def layout_named(name: str) -> Layout:
    """Return the layout of a name.

    Raises
    ------
    SourceError
        If there is none; the message lists all.
    """
    if name not in LAYOUTS:
        raise SourceError(f"no format {name}; the formats are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def layout_of(head: Head, name: str | None = None, mapping: FieldMapping | None = None) -> Layout:
    """Return the layout of a file: the named one, the mapped one, or the one its first rows show.

    Parameters
    ----------
    head
        The first rows of the file.
    name
        A name out of `LAYOUTS`; None looks at the rows.
    mapping
        Columns of the fields; goes with the format ``csv`` only.

    Raises
    ------
    SourceError
        If the rows fit no layout or several, with the candidates and what to say.
    """
    if mapping is not None:
        if name not in {None, MappedLayout.name}:
            raise SourceError(f"--map describes any table; it cannot go with --format {name}")
        return MappedLayout(mapping)
    if name is not None:
        return layout_named(name)
    found = sorted(
        ((layout.confidence(head), layout) for layout in LAYOUTS.values()), key=lambda entry: -entry[0]
    )
    best, second = found[0], found[1]
    if best[0] >= SURE and best[0] - second[0] >= APART:
        return best[1]
    candidates = [f"{layout.name} ({layout.title})" for confidence, layout in found if confidence > 0.3]
    raise SourceError(_unclear(head, candidates))


def _unclear(head: Head, candidates: list[str]) -> str:
    if candidates:
        return f"{head.name}: the format is not clear; say --format with one of: {', '.join(candidates)}"
    message = f"{head.name}: no known format; "
    if head.columns is not None and len(head.columns.names) > 1:
        likely = " ".join(f"--map {field}={column}" for field, column in guesses(head.columns).items())
        names = ", ".join(head.columns.names)
        return f"{message}the columns are {names}; map them, for instance {likely or HINT}"
    return f"{message}the formats are {', '.join(LAYOUTS)}; any table can be read with {HINT}"
