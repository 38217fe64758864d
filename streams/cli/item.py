"""`keepstream item`: everything that is known of an item."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.settings import load

if TYPE_CHECKING:
    from rich.console import Console


def command(
    item_id: Annotated[str, typer.Argument(metavar="ID", help="An item_id.")],
    *,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask this worker instead of looking for one.")
    ] = None,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Show an item: its exact number of touches, how popular it is now, and its neighbours.

    Any worker answers. With --json the answer is the one of /v1/items/ID. For example:

      keepstream item sku-1042

      keepstream item sku-1042 --json | jq .touches
    """
    from streams.api.owners import lookup_path
    from streams.cli.lookup import ask

    settings = load(config, bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    profile = ask(lookup_path("items", item_id), settings, url)
    if json_:
        print(json.dumps(profile, ensure_ascii=False, indent=2))
    else:
        from rich.console import Console

        show(profile, Console(highlight=False))


def show(profile: Mapping[str, Any], console: "Console") -> None:
    """Print a profile for people."""
    from rich.table import Table
    from rich.text import Text

    from streams.cli.tail_lines import clock, printable

    place = f"partition {profile['partition']}, offset {profile['offset']}"
    console.print(Text.assemble((printable(profile["item_id"]), "bold cyan"), (f"   {place}", "dim")))
    price = "" if profile.get("price") is None else f", price {profile['price']:,.2f}"
    category = printable(profile.get("category") or "no category")
    console.print(Text(f"  {category}{price}"))
    last = f", last {clock(profile['event_time'])} UTC"
    console.print(
        Text(f"  {profile['touches']:,} touches, {profile['popularity']:,.1f} of them recent{last}")
    )
    neighbours = profile["neighbours"]
    if not neighbours:
        console.print(Text("\nno neighbours yet", style="dim"))
        return
    table = Table(box=None, padding=(0, 2), header_style="dim")
    table.add_column("neighbour", style="bold")
    for name in ("follows it", "precedes it", "directly next"):
        table.add_column(name, justify="right")
    for one in neighbours:
        numbers = (f"{one['forward']:,.2f}", f"{one['backward']:,.2f}", f"{one['lag1']:.1%}")
        table.add_row(Text(printable(one["item_id"])), *numbers)
    console.print()
    console.print(table)
