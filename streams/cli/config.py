"""`keepstream config`: every setting with its value and origin, and whether they fit together."""

import json
from typing import Annotated, Any

import typer

from streams.cli.options import Config, Json

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="Show and check the settings.",
)


@app.command()
def show(
    *,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only settings that differ from their default.")
    ] = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """List every setting with its value, where it came from, default and meaning; secrets are not shown.

    For example:

      keepstream config show

      keepstream config show --changed --config shop.toml

      KEEPSTREAM_HORIZON=14d keepstream config show --json | jq '.[] | select(.origin)'
    """
    rows = [row for row in _rows(config) if not changed or row["value"] != row["default"]]
    if json_:
        print(json.dumps(rows, indent=2))
        return
    section = ""
    for row in rows:
        if row["section"] != section:
            print(f"\n[{row['section']}]" if section else f"[{row['section']}]")
            section = row["section"]
        origin = f" (from {row['origin']}; default {row['default'] or 'none'})" if row["origin"] else ""
        print(f"{row['name']} = {row['value'] or 'none'}{origin}\n    {row['help']}")
    if not rows:
        print("every setting has its default")


@app.command()
def check(*, config: Config = None, json_: Json = False) -> None:
    """Check the settings without a broker: names, values, files, and what is unlikely to be meant.

    The exit code is 1 if a worker could not start with them. For example:

      keepstream config check --config shop.toml
    """
    from streams.settings import load
    from streams.settings.advice import advise

    found = list(advise(load(config)))
    if json_:
        print(json.dumps([advice._asdict() for advice in found], indent=2))
    else:
        for advice in found:
            print(f"{'FAIL' if advice.error else 'note'}  {', '.join(advice.names)}: {advice.text}")
        errors = sum(advice.error for advice in found)
        print(f"{len(_rows(config))} settings checked, {errors} to mend, {len(found) - errors} notes")
    if any(advice.error for advice in found):
        raise typer.Exit(1)


def _rows(config: Config) -> list[dict[str, Any]]:
    from streams.settings import catalogue, in_words, load, origins

    settings, given = load(config), origins(config)
    return [
        {
            "section": item.section,
            "name": item.name,
            "variable": item.variable,
            "value": in_words(getattr(getattr(settings, item.section), item.name)),
            "default": in_words(item.default),
            "origin": given.get(item.name),
            "help": item.help,
        }
        for item in catalogue()
    ]
