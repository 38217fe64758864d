"""`keepstream user`: everything that is known of a user."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.settings import load

if TYPE_CHECKING:
    from rich.console import Console

_DAY_MS: Final = 86_400_000


def command(
    user_id: Annotated[
        str, typer.Argument(metavar="ID", help="A user_id, or a:ID for an anonymous visitor.")
    ],
    *,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask this worker instead of looking for one.")
    ] = None,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Show a user: exact event counts, churn risk with its reasons, alerts, and a list made right now.

    Any worker answers. Where pseudonym_key is set here, the id is asked for by its pseudonym. With --json the
    answer is the one of /v1/users/ID. For example:

      keepstream user c-4711

      keepstream user a:dev-91ab --json | jq .event_counts
    """
    from streams.api.owners import lookup_path
    from streams.cli.lookup import ask, subject_of

    settings = load(config, bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix)
    subject = user_id if user_id.startswith(("u:", "a:")) else f"u:{user_id}"
    profile = ask(lookup_path("users", subject_of(subject, settings)), settings, url)
    if json_:
        print(json.dumps(profile, ensure_ascii=False, indent=2))
    else:
        from rich.console import Console

        show(profile, Console(highlight=False))


def show(profile: Mapping[str, Any], console: "Console") -> None:
    """Print a profile for people."""
    from rich.text import Text

    from streams.cli.tail_lines import clock, printable

    place = f"partition {profile['partition']}, offset {profile['offset']}"
    console.print(Text.assemble((printable(profile["subject"]), "bold cyan"), (f"   {place}", "dim")))
    rows = [("seen", f"{clock(profile['first_event'])} to {clock(profile['last_event'])} UTC")]
    session = profile.get("session")
    if session:
        rows.append(("session", f"{session['touches']:,} touches since {clock(session['started'])}"))
    rows.append(("spend", f"{profile['spend']:,.2f}"))
    rows.append(("events", _counts(profile["event_counts"])))
    rows.append(("items", ", ".join(map(printable, profile["recent_items"])) or "none yet"))
    rows.append(("labels", f"{profile['pending_labels']} waiting to mature"))
    _print_rows(rows, console)
    _print_risk(profile, console)
    _print_list(profile.get("recommendations") or (), console)


def _counts(counts: Mapping[str, int]) -> str:
    shown = sorted(counts.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{count:,} {name}" for name, count in shown if count) or "none"


def _print_rows(rows: list[tuple[str, str]], console: "Console") -> None:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=8)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(f"  {name}", text, style=None)
    console.print(table)


def _print_risk(profile: Mapping[str, Any], console: "Console") -> None:
    from rich.text import Text

    from streams.cli.tail_lines import clock, printable

    risk, alert = profile.get("risk"), profile.get("alert")
    if risk is None:
        console.print(Text("\nchurn risk   not scored yet", style="dim"))
        return
    style = "bold red" if risk["probability"] >= 0.5 else "bold green"  # more likely than not
    by = f"   {risk['model_version']}, {clock(risk['event_time'])}"
    console.print(Text.assemble("\nchurn risk   ", (f"{risk['probability']:.1%}", style), (by, "dim")))
    for reason in risk["reasons"]:
        console.print(Text(f"  {printable(reason)}"))
    if risk.get("counterfactual"):
        console.print(Text(f"  {printable(risk['counterfactual'])}"))
    if alert and alert["last_alert"] is not None:
        again = "may be alerted again" if alert["armed"] else "not again before a return"
        console.print(Text(f"  last alert {clock(alert['last_alert'])}, {again}", style="dim"))


def _print_list(items: Any, console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    from streams.cli.tail_lines import printable

    console.print("\nrecommended now" if items else Text("\nnothing to recommend yet", style="dim"))
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim", min_width=4)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for place, item in enumerate(items, 1):
        table.add_row(str(place), Text(printable(item["item_id"])), Text(printable(item["reason"])))
    console.print(table)
