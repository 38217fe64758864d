"""`keepstream experiments`: variants of lists side by side, and what can be said of the difference."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.settings import load

if TYPE_CHECKING:
    from rich.console import Console


def command(
    *,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask this worker instead of looking for one.")
    ] = None,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Show what has come of experiments with lists (setting experiments).

    Rates are means over users, each followed for experiment_window after the first list. The interval of a
    difference holds whenever one looks: an experiment may end as soon as its verdict is better or worse. Open
    means that no difference has been shown. For example:

      keepstream experiments

      keepstream experiments --json | jq '.experiments[0].variants'
    """
    from streams.cli.lookup import ask

    settings = load(config, bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    found = ask("/v1/experiments", settings, url)
    if json_:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    if not found["experiments"]:
        print("no user's window is over yet, or the setting experiments is empty")
        return
    from rich.console import Console

    show(found, Console(highlight=False))


def show(found: Mapping[str, Any], console: "Console") -> None:
    """Print results for people."""
    from rich.table import Table
    from rich.text import Text

    from streams.cli.tail_lines import clock

    for one in found["experiments"]:
        table = Table(box=None, padding=(0, 1), header_style="dim")
        for name in ("variant", "measure"):
            table.add_column(name)
        for name in ("users", "rate", "difference", f"{1 - found['alpha']:.0%} at any time"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict")
        for variant in one["variants"]:
            for place, (name, measure) in enumerate(variant["measures"].items()):
                table.add_row("" if place else variant["name"], name, *_cells(variant, measure))
        title = f"{one['name']}   windows from {clock(one['began'])} to {clock(one['latest'])} UTC"
        console.print(Text(title, style="bold cyan"))
        console.print(table)
        if one["uneven"]:
            console.print("users are shared out unevenly: something keeps one variant's users out")
        console.print()


def _cells(variant: Mapping[str, Any], measure: Mapping[str, Any]) -> list[str]:
    rate = "-" if measure["rate"] is None else f"{measure['rate']:.2%}"
    if variant["control"]:
        return [f"{measure['users']:,}", rate, "", "", "control"]
    if measure["difference"] is None:
        return [f"{measure['users']:,}", rate, "", "", "-"]
    interval = f"{measure['difference_low']:+.2%} to {measure['difference_high']:+.2%}"
    return [f"{measure['users']:,}", rate, f"{measure['difference']:+.2%}", interval, measure["verdict"]]
