"""The page of the documentation that lists every setting."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from streams.settings import Secret, Setting, Settings, catalogue, in_words

_INTRODUCTION: Final = """\
# Settings

<!-- Generated from streams/settings/sections.py: `python -m streams.settings > docs/settings.md` -->

A setting can be given in three places; later ones win: a TOML file with a table for each section below
(`--config FILE`, or the file that `KEEPSTREAM_CONFIG` names), an environment variable, an option of the
command line where the command has one. `keepstream config show` prints the values in force and their origin.
An unknown name is an error that names the nearest known one.

Durations are numbers with the units `d`, `h`, `m`, `s` and `ms` (`1h30m`), or `forever`. Switches are `true`
or `false`. A *secret* is never shown; instead of its variable, the same name with `_FILE` at its end may name
a file that holds it. Ranges include their bounds.

```toml
[broker]
bootstrap_servers = "kafka-1:9092,kafka-2:9092"

[churn]
horizon = "14d"
```
"""

_KINDS: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "switch",
    timedelta: "duration",
    Path: "path",
    Secret: "secret",
}


def page() -> str:
    """Return docs/settings.md."""
    settings = list(catalogue())
    sections = [section.name for section in fields(Settings)]
    parts = [_section(name, [s for s in settings if s.section == name]) for name in sections]
    return _INTRODUCTION + "".join(parts)


def _section(name: str, settings: list[Setting]) -> str:
    rows = "\n".join(_rows(settings))
    head = "| setting | environment variable | type | default | range | meaning |\n|---|---|---|---|---|---|"
    return f"\n## [{name}]\n\n{head}\n{rows}\n"


def _rows(settings: list[Setting]) -> Iterator[str]:
    for item in settings:
        default = _shown(item.default)
        yield (
            f"| `{item.name}` | `{item.variable}` | {kind_in_words(item.kind)} "
            f"| {f'`{default}`' if default else 'none'} | {_range(item)} | {item.help} |"
        )


def kind_in_words(kind: Any) -> str:
    """Return what may be written for a setting of a type.

    >>> kind_in_words(float | None), kind_in_words(Literal["event", "live"]), kind_in_words(tuple[str, ...])
    ('number', '`event`, `live`', 'texts, with commas')
    """
    if get_origin(kind) in (Union, UnionType):
        return kind_in_words(next(part for part in get_args(kind) if part is not NoneType))
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is tuple:
        return f"{kind_in_words(get_args(kind)[0])}s, with commas"
    return _KINDS[kind]


def _range(item: Setting) -> str:
    low, high = in_words(item.at_least), in_words(item.at_most)
    if high in ("", "forever"):
        return f"from {low}" if low else ""
    return f"{low} to {high}" if low else f"up to {high}"


def _shown(value: object) -> str:
    """Return a default as everyone has it, without the name of a home directory."""
    if isinstance(value, Path) and value.is_relative_to(Path.home()):
        return f"~/{value.relative_to(Path.home()).as_posix()}"
    return in_words(value)
