"""`keepstream rules`: what the shop demands of every list."""

import json
from typing import Annotated, Literal

import msgspec
import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.cli.reach import reach
from streams.errors import SourceError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="List, add and remove rules: pin, block, boost.",
)


@app.command("list")
def list_(
    *,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """List the rules, in force or not, and the rows that workers refuse.

    The exit code is 1 if there are such rows. For example:

      keepstream rules list --json
    """
    from streams import compacted, topics
    from streams.agents.shop import list_rule
    from streams.cli.refused import accepted_rows
    from streams.cli.tail_lines import clock, printable

    settings = reach(config, bootstrap_servers, topic_prefix)
    rows = compacted.rows_of(settings, topics.RULES.full_name(settings))
    for value, rule in accepted_rows(dict(sorted(rows.items())), list_rule):
        if json_:
            print(json.dumps(json.loads(value), ensure_ascii=False))
            continue
        kind, name = rule.target
        how = {"pin": f" at {rule.position}", "boost": f" by {rule.factor:g}", "block": ""}[rule.action]
        begin = f" from {clock(rule.from_ms)}" if rule.from_ms else ""
        end = f" until {clock(rule.until_ms)}" if rule.until_ms else ""
        print(printable(f"{rule.rule_id:20}  {rule.action} {kind} {name}{how}{begin}{end}"))


@app.command()
def add(
    rule_id: Annotated[str, typer.Argument(metavar="NAME", help="Name; replaces the rule of this name.")],
    action: Annotated[Literal["pin", "block", "boost"], typer.Argument(help="What to do.")],
    *,
    item: Annotated[str | None, typer.Option(metavar="ID", help="The item it is about.")] = None,
    category: Annotated[str | None, typer.Option(metavar="TEXT", help="Or the category.")] = None,
    brand: Annotated[str | None, typer.Option(metavar="TEXT", help="Or the brand.")] = None,
    position: Annotated[int | None, typer.Option(help="Of a pin: the place, from 1.")] = None,
    factor: Annotated[
        float | None, typer.Option(help="Of a boost: of the odds; above 1 moves up, below 1 down.")
    ] = None,
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Begin, in event time.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="End, in event time.")] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why, for people.")] = "",
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Add a rule; every worker goes by it at once.

    For example:

      keepstream rules add hero pin --item sku-1042 --position 1 --until 2026-12-01

      keepstream rules add recall block --brand Acme --note "recalled"

      keepstream rules add sale boost --category Shoes --factor 2
    """
    from streams import compacted, topics
    from streams.agents.shop import rule_of
    from streams.schemas import ListRule

    parts = {
        "rule_id": rule_id,
        "action": action,
        "item_id": item,
        "category": category,
        "brand": brand,
        "position": position,
        "factor": factor,
        "valid_from": _time("--from", begin),
        "valid_until": _time("--until", until),
        "note": note,
    }
    try:
        document = msgspec.convert({k: v for k, v in parts.items() if v is not None}, ListRule)
    except msgspec.ValidationError as error:
        raise SourceError(f"rule {rule_id!r}: {error}") from error
    rule_of(document)
    settings = reach(config, bootstrap_servers, topic_prefix)
    topic = topics.RULES.full_name(settings)
    compacted.write(settings, topic, [(rule_id.encode(), msgspec.json.encode(document))])
    print(f"{rule_id} added to {topic}")


@app.command()
def remove(
    rule_id: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of rules.")],
    *,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Remove rules.

    For example:

      keepstream rules remove sale hero
    """
    from streams import compacted, topics

    settings = reach(config, bootstrap_servers, topic_prefix)
    topic = topics.RULES.full_name(settings)
    there = compacted.rows_of(settings, topic)
    unknown = [name for name in rule_id if name.encode() not in there]
    if unknown:
        raise SourceError(f"{topic} has no rule {unknown[0]!r}; see `keepstream rules list`")
    compacted.write(settings, topic, [(name.encode(), None) for name in rule_id])
    print(f"{', '.join(rule_id)} removed from {topic}")


def _time(option: str, text: str | None) -> int | None:
    from streams.sources.values import epoch_ms

    found = None if text is None else epoch_ms(text)
    if text is not None and found is None:
        raise SourceError(f"{option} must be a time such as 2026-12-01 or 2026-12-01T08:00Z, not {text!r}")
    return found
