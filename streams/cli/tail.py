"""`keepstream tail`: the records of a topic, decoded, as they arrive."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.cli.reach import reach
from streams.errors import TopicsError
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.follow import Followed, Start

_POLL_S: Final = 0.2


def command(
    topic: Annotated[
        str,
        typer.Argument(
            help="events, recommendations, alerts, interventions, scores, profiles, retention, dlq, "
            "neighbours, catalog, rules, pairs, examples, models, workers, or the full name of any topic."
        ),
    ],
    *,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the first record there is.")
    ] = False,
    last: Annotated[
        int | None,
        typer.Option("--last", min=0, help="Begin with the last so many records of each partition."),
    ] = None,
    count: Annotated[int | None, typer.Option("-n", min=1, help="End after so many records.")] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when everything that was there has been printed.")
    ] = False,
    key: Annotated[
        str | None, typer.Option("--key", help="Only records with this key; a user_id finds its subject.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the values' bytes and nothing else.")] = False,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Print the records of a topic as they arrive; committed ones only. Ctrl-C ends it.

    It reads beside the workers and disturbs nobody. For example:

      keepstream tail alerts

      keepstream tail recommendations --key c-4711 --from-beginning

      keepstream tail dlq --last 100 --once --json | jq .value
    """
    from streams.follow import Follower

    if from_beginning and last is not None:
        raise typer.BadParameter("--from-beginning and --last exclude each other")
    if raw and json_:
        raise typer.BadParameter("--raw and --json exclude each other")
    settings = reach(config, bootstrap_servers, topic_prefix)
    name = full_name(topic, settings)
    start: Start = "beginning" if from_beginning or (once and last is None) else "end"
    write = _raw if raw else _json if json_ else _Readable(settings)
    left = count
    with Follower(settings, [name], start if last is None else last) as follower:
        while True:
            done = once and follower.caught_up
            for record in follower.poll(_POLL_S):
                if not _wanted(record, key):
                    continue
                write(record)
                left = left if left is None else left - 1
                if left == 0:
                    return
            sys.stdout.flush()
            if done:
                return


def full_name(topic: str, settings: Settings) -> str:
    """Return the full name of a topic called by its alias, by its name, or by its full name.

    >>> full_name("alerts", Settings())
    'churn.alerts.v1'

    Raises
    ------
    TopicsError
        If nothing is called so; the message names the nearest.
    """
    from difflib import get_close_matches

    from streams import topics

    aliases: dict[str, topics.Topic] = {
        "events": topics.EVENTS,
        "recommendations": topics.RECOMMENDATIONS,
        "alerts": topics.ALERTS,
        "interventions": topics.INTERVENTIONS,
        "scores": topics.SCORES,
        "profiles": topics.PROFILES,
        "retention": topics.RETENTION,
        "dlq": topics.DEAD_LETTERS,
        "neighbours": topics.NEIGHBOURS,
        "catalog": topics.CATALOGUE,
        "rules": topics.RULES,
        "pairs": topics.ITEM_PAIRS,
        "examples": topics.EXAMPLES,
        "models": topics.MODELS,
        "workers": topics.WORKERS,
    }
    if topic in aliases:
        return aliases[topic].full_name(settings)
    names = {
        name: one.full_name(settings) for one in topics.TOPICS for name in (one.name, one.full_name(settings))
    }
    if topic in names:
        return names[topic]
    if "." in topic:
        return topic
    close = get_close_matches(topic, aliases, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(aliases)} and full names"
    raise TopicsError(f"no topic is called {topic!r}; {hint}")


def as_json(record: "Followed") -> dict[str, Any]:
    """Return a record as one JSON document; a value that is no JSON is summed up or left as text."""
    from streams.cli.tail_lines import decoded

    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": None if record.key is None else record.key.decode(errors="replace"),
        "value": decoded(record),
        "headers": {
            name: None if value is None else value.decode(errors="replace") for name, value in record.headers
        },
    }


def _wanted(record: "Followed", key: str | None) -> bool:
    return key is None or record.key in (key.encode(), f"u:{key}".encode())


def _raw(record: "Followed") -> None:
    if record.value is not None:
        sys.stdout.buffer.write(record.value + b"\n")
        sys.stdout.buffer.flush()


def _json(record: "Followed") -> None:
    print(json.dumps(as_json(record), ensure_ascii=False), flush=True)


class _Readable:
    """Prints records for people: lines are cut at a terminal's edge, and whole in a pipe."""

    def __init__(self, settings: Settings) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)
        self._settings = settings

    def __call__(self, record: "Followed") -> None:
        from streams.cli.tail_lines import lines

        whole = not self._console.is_terminal
        for line in lines(record, self._settings):
            self._console.print(line, no_wrap=True, overflow="ellipsis", crop=not whole, soft_wrap=whole)
