"""`keepstream settings`: every setting, its value and its meaning."""

import json

from streams.cli.options import Config, Json
from streams.settings import catalogue, in_words, load


def command(config: Config = None, json_: Json = False) -> None:
    """List every setting with its value, default and meaning; secrets are not shown."""
    settings = load(config)
    rows = [
        {
            "section": item.section,
            "name": item.name,
            "variable": item.variable,
            "value": in_words(getattr(getattr(settings, item.section), item.name)),
            "default": in_words(item.default),
            "help": item.help,
        }
        for item in catalogue()
    ]
    if json_:
        print(json.dumps(rows, indent=2))
        return
    section = ""
    for row in rows:
        if row["section"] != section:
            section = row["section"]
            print(f"\n[{section}]" if row is not rows[0] else f"[{section}]")
        changed = "" if row["value"] == row["default"] else f" (default {row['default'] or 'none'})"
        print(f"{row['name']} = {row['value'] or 'none'}{changed}\n    {row['help']}")
