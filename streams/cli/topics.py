"""`keepstream topics`: create, list and check the topics."""

import json
from typing import Any

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.cli.reach import reach
from streams.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="Create, list and check the topics.",
)


@app.command()
def create(
    config: Config = None, bootstrap_servers: BootstrapServers = None, topic_prefix: TopicPrefix = None
) -> None:
    """Create the missing topics and check the others.

    Existing topics are never changed. For example:

      keepstream topics create --bootstrap-servers kafka-1:9092
    """
    from streams import topics

    settings = reach(config, bootstrap_servers, topic_prefix)
    created = topics.ensure(settings)
    for name in created:
        print(f"created {name}")
    print(f"{len(created)} topics created, {len(topics.TOPICS) - len(created)} were there")


@app.command("list")
def list_(
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
    json_: Json = False,
) -> None:
    """List every topic and whether the broker has it.

    For example:

      keepstream topics list --json
    """
    from streams import topics

    settings = reach(config, bootstrap_servers, topic_prefix)
    existing = topics.list_existing(settings)
    rows = [_row(topic, settings, existing) for topic in topics.TOPICS]
    if json_:
        print(json.dumps(rows, indent=2))
    else:
        _print_table(rows)


@app.command()
def check(
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
    json_: Json = False,
) -> None:
    """Compare the broker's topics with what is needed.

    The exit code is 1 if a worker could not start with them. For example:

      keepstream topics check
    """
    from streams import topics

    settings = reach(config, bootstrap_servers, topic_prefix)
    found = topics.check(settings)
    if json_:
        print(json.dumps([mismatch._asdict() for mismatch in found], indent=2))
    else:
        for mismatch in found:
            print(f"{'FAIL' if mismatch.fatal else 'note'}  {mismatch.topic} {mismatch.explanation}")
        fatal = sum(mismatch.fatal for mismatch in found)
        print(f"{len(topics.TOPICS)} topics checked, {fatal} to mend, {len(found) - fatal} notes")
    if any(mismatch.fatal for mismatch in found):
        raise typer.Exit(1)


def _row(topic: Any, settings: Settings, existing: Any) -> dict[str, Any]:
    from streams.topics import partition_count

    name = topic.full_name(settings)
    found = existing.get(name)
    return {
        "topic": name,
        "exists": found is not None,
        "partitions": found.partitions if found else partition_count(topic, settings, existing),
        "cleanup": topic.cleanup,
        "key": topic.key,
        "value": topic.value,
        "purpose": topic.purpose,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = [("topic", "there", "partitions", "cleanup", "purpose")]
    for row in rows:
        there = "yes" if row["exists"] else "no"
        table.append((row["topic"], there, str(row["partitions"]), row["cleanup"], row["purpose"]))
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    for *columns, purpose in table:
        print("  ".join([*(text.ljust(width) for text, width in zip(columns, widths, strict=True)), purpose]))
