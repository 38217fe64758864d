"""`keepstream catalog`: check, load and look at what the shop says of its items."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.cli.reach import reach

if TYPE_CHECKING:
    from streams.schemas import CatalogItem
    from streams.sources.catalogue_file import BadItem

_SHOWN = 5
_FILE_HELP = "JSON lines or a table with a header, also gzip; - reads a pipe."
File = Annotated[str, typer.Argument(metavar="FILE", help=_FILE_HELP)]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="Check, load and list the shop's items.",
)


@app.command()
def validate(file: File, *, json_: Json = False) -> None:
    """Check a catalogue without a broker.

    Columns are item_id, category, brand, price, available, title, since, or as product feeds name them: id,
    product_type, availability. The exit code is 1 if a row is bad. For example:

      keepstream catalog validate items.csv
    """
    good, bad = _read(file)
    _tell(good, bad, as_json=json_)
    if bad or not good:
        raise typer.Exit(1)


@app.command("load")
def load_(
    file: File,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Items that the file lacks are withdrawn.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Load what is good in spite of bad rows.")
    ] = False,
    rejects: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write bad rows there, as JSON lines with reasons.")
    ] = None,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Load a catalogue into its topic; an item replaces what is under its id.

    Nothing is loaded when a row is bad, unless --skip-bad says so. While a catalogue has items, what it lacks
    is not listed (setting catalog_complete). For example:

      keepstream catalog load items.csv --replace
    """
    from streams import compacted, topics

    good, bad = _read(file)
    if rejects is not None:
        lines = (msgspec.json.encode(one._asdict()) + b"\n" for one in bad)
        rejects.write_bytes(b"".join(lines))
    if not good or (bad and not skip_bad):
        _tell(good, bad, as_json=json_)
        raise typer.Exit(1)
    settings = reach(config, bootstrap_servers, topic_prefix)
    topic = topics.CATALOGUE.full_name(settings)
    gone = []
    if replace:
        kept = {item.item_id.encode() for item in good}
        gone = [key for key in compacted.rows_of(settings, topic) if key not in kept]
    rows: list[tuple[bytes, bytes | None]] = [
        (item.item_id.encode(), msgspec.json.encode(item)) for item in good
    ]
    compacted.write(settings, topic, [*rows, *((key, None) for key in gone)])
    _tell(good, bad, as_json=json_, topic=topic, withdrawn=len(gone))


@app.command("list")
def list_(
    *,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """List the items of the topic, and the rows that workers refuse.

    The exit code is 1 if there are such rows. For example:

      keepstream catalog list --json | jq 'select(.available | not) | .item_id'
    """
    from streams import compacted, topics
    from streams.agents.shop import catalogue_item
    from streams.cli.refused import accepted_rows
    from streams.cli.tail_lines import printable

    settings = reach(config, bootstrap_servers, topic_prefix)
    rows = compacted.rows_of(settings, topics.CATALOGUE.full_name(settings))
    for value, item in accepted_rows(rows, catalogue_item):
        if json_:
            print(json.dumps({"available": True} | json.loads(value), ensure_ascii=False))
        else:
            price = f"{item.price:12,.2f}" if item.price == item.price else " " * 12  # NaN
            stock = "" if item.available else "  out of stock"
            words = f"{item.item_id:24}  {item.category:24}  {item.brand:20}"
            print(f"{printable(words)}{price}{stock}")


@app.command()
def remove(
    item_id: Annotated[list[str], typer.Argument(metavar="ID...", help="Items that are sold no more.")],
    *,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Withdraw items from the catalogue.

    For example:

      keepstream catalog remove sku-1042
    """
    from streams import compacted, topics

    settings = reach(config, bootstrap_servers, topic_prefix)
    topic = topics.CATALOGUE.full_name(settings)
    count = compacted.write(settings, topic, [(name.encode(), None) for name in item_id])
    print(f"{count} withdrawn from {topic}")


def _read(file: str) -> tuple[list["CatalogItem"], list["BadItem"]]:
    """Return the good and the bad rows of a file, each item once: the last row of an id counts."""
    from streams.schemas import CatalogItem
    from streams.sources.catalogue_file import catalogue_items
    from streams.sources.files import InputFile

    good: dict[str, CatalogItem] = {}
    bad: list[BadItem] = []
    with closing(InputFile(file)) as source:
        for one in catalogue_items(source):
            if isinstance(one, CatalogItem):
                good[one.item_id] = one
            else:
                bad.append(one)
    return list(good.values()), bad


def _tell(
    good: list["CatalogItem"], bad: list["BadItem"], *, as_json: bool, topic: str = "", withdrawn: int = 0
) -> None:
    from streams.cli.tail_lines import printable

    if as_json:
        found: dict[str, Any] = {
            "items": len(good),
            "available": sum(item.available for item in good),
            "bad": [one._asdict() for one in bad],
        }
        print(json.dumps(found | ({"to": topic, "withdrawn": withdrawn} if topic else {}), indent=2))
        return
    for one in bad[:_SHOWN]:
        print(f"line {one.line}: {printable(one.reason)}")
    if len(bad) > _SHOWN:
        print(f"... and {len(bad) - _SHOWN:,} more")
    stock = sum(not item.available for item in good)
    where = f" to {topic}, {withdrawn:,} withdrawn" if topic else ""
    print(f"{len(good):,} items{where}, {stock:,} out of stock, {len(bad):,} bad rows")
