"""`keepstream dlq`: list, show and replay rejected events."""

import heapq
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.cli.reach import reach
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.dead_letters import Choice, DeadLetters, Letter

_INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="List, show and replay rejected events.",
)

Reason = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="REASON", help="Only letters with this reason; repeatable."),
]
Partition = Annotated[int | None, typer.Option("--partition", min=0, help="Only letters of this partition.")]
Offset = Annotated[
    list[int] | None,
    typer.Option("--offset", min=0, help="Only the letter at this offset of --partition; repeatable."),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="WHEN", help="Only letters since then: a duration back (2h, 3d) or RFC 3339."
    ),
]


@app.command("list")
def list_(
    *,
    reason: Reason = None,
    partition: Partition = None,
    offset: Offset = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=0, help="Show the newest so many; all are counted.")] = 20,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Count rejected events by reason, and list the newest ones.

    Without a filter, refused rows of catalogue and rules are listed too, from where they lie. For example:

    keepstream dlq list

    keepstream dlq list --since 1h --reason wrong_type --limit 100

    keepstream dlq list --json | jq .by_reason
    """
    from streams.cli.dlq_lines import print_list, print_refused, row, row_refused
    from streams.refused_rows import refused_rows

    settings = reach(config, bootstrap_servers, topic_prefix)
    choice = _choice(reason, partition, offset, since)
    letters = _letters(settings, choice)
    counts: Counter[str] = Counter()

    def counted() -> Iterator["Letter"]:
        with _progress(letters) as step:
            for letter in letters:
                counts[letter.reason] += 1
                step(letter)
                yield letter

    # Partitions are not read in the order of time.
    shown = heapq.nlargest(max(limit, 1), counted(), key=_by_time)[:limit][::-1]
    refused = list(refused_rows(settings)) if choice.everything else []
    if json_:
        found = {
            "total": counts.total(),
            "by_reason": dict(counts.most_common()),
            "letters": [row(letter) for letter in shown],
            "refused_rows": [row_refused(one) for one in refused],
        }
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        print_list(counts, shown)
        print_refused(refused[:limit], len(refused))


@app.command()
def show(
    place: Annotated[
        str, typer.Argument(metavar="PARTITION@OFFSET", help="Place of the letter, as `dlq list` prints it.")
    ],
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the bytes of the event and nothing else.")
    ] = False,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Show one rejected event: why, what to do, its headers and its bytes. For example:

    keepstream dlq show 3@42

    keepstream dlq show 3@42 --raw > event.json
    """  # noqa: D400  # the examples end it
    from streams.cli.dlq_lines import print_letter, whole
    from streams.dead_letters import Choice
    from streams.errors import TopicsError

    if raw and json_:
        raise typer.BadParameter("--raw and --json exclude each other")
    partition, offset = _place(place)
    settings = reach(config, bootstrap_servers, topic_prefix)
    letter = next(iter(_letters(settings, Choice(partition=partition, offsets=frozenset({offset})))), None)
    if letter is None:
        raise TopicsError(f"there is no dead letter at {place}; `keepstream dlq list` shows what is there")
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
    elif json_:
        print(json.dumps(whole(letter), ensure_ascii=False, indent=2))
    else:
        print_letter(letter)


@app.command()
def replay(
    *,
    reason: Reason = None,
    partition: Partition = None,
    offset: Offset = None,
    since: Since = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send so many at most, oldest first.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Send every letter there is.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Send rejected events to the event topic again, byte by byte as they were.

    For events that are accepted now, after a limit was raised or a bug mended. Key, value and headers stay;
    the headers replay.letter and replay.time mark them. They go to the partition they came from. What is
    rejected again becomes a new letter with the new reason, and the old one is not sent any more. An event
    that was accepted is dropped as a duplicate the next time, so the command may be repeated.

    The exit code is 130 after Ctrl-C, which ends it when what is on its way has arrived. For example:

      keepstream dlq replay --reason too_large --dry-run

      keepstream dlq replay --since 2h --reason from_the_future --limit 1000

      keepstream dlq replay --partition 3 --offset 42
    """
    from streams.cli.dlq_lines import print_replay
    from streams.cli.dlq_replay import Replay

    choice = _choice(reason, partition, offset, since)
    if choice.everything and limit is None and not all_:
        raise typer.BadParameter("say which: --reason, --partition, --offset, --since, --limit or --all")
    settings = reach(config, bootstrap_servers, topic_prefix)
    task = Replay(settings, choice, limit=limit, progress=_progress)
    summary = task.rehearse() if dry_run else task.send()
    if json_:
        print(json.dumps(summary.as_json(), indent=2))
    else:
        print_replay(summary)
    if summary.stopped:
        raise typer.Exit(_INTERRUPTED)


def _letters(settings: Settings, choice: "Choice") -> "DeadLetters":
    from streams.dead_letters import DeadLetters

    return DeadLetters(settings, choice)


def _choice(
    reasons: list[str] | None, partition: int | None, offsets: list[int] | None, since: str | None
) -> "Choice":
    from streams.dead_letters import UNKNOWN, Choice
    from streams.reject_reasons import ADVICE

    known = {*ADVICE, UNKNOWN}
    if wrong := set(reasons or ()) - known:
        raise typer.BadParameter(f"no reason {min(wrong)!r}; there are {', '.join(sorted(known))}")
    if offsets and partition is None:
        raise typer.BadParameter("--offset needs --partition")
    return Choice(
        reasons=frozenset(reasons or ()),
        partition=partition,
        offsets=frozenset(offsets or ()),
        since_ms=None if since is None else _since_ms(since),
    )


def _since_ms(text: str) -> int:
    """Return the time that a duration back or an RFC 3339 text means, epoch milliseconds.

    >>> _since_ms("2026-03-01T10:15:00Z")
    1772360100000
    """
    import time
    from datetime import datetime

    from online_models.errors import InvalidParameterError
    from streams.settings import duration, milliseconds

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return max(0, time.time_ns() // 1_000_000 - milliseconds(duration(text)))
        except InvalidParameterError as error:
            raise typer.BadParameter(f"--since: {error}, or an RFC 3339 time") from error
    if at.tzinfo is None:
        raise typer.BadParameter("--since: the time needs a zone, such as 2026-03-01T10:15:00Z")
    return int(at.timestamp() * 1000)


def _by_time(letter: "Letter") -> tuple[int, int]:
    return letter.record.timestamp, letter.record.offset


def _place(text: str) -> tuple[int, int]:
    partition, at, offset = text.partition("@")
    if not (at and partition.isdecimal() and offset.isdecimal()):
        raise typer.BadParameter(f"a place is written PARTITION@OFFSET, such as 3@42, not {text!r}")
    return int(partition), int(offset)


@contextmanager
def _progress(letters: "DeadLetters") -> Iterator[Callable[["Letter"], None]]:
    """Yield what is told of every letter read; a bar on standard error shows it where someone watches."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading dead letters", total=letters.offsets or None)
        yield lambda _: progress.advance(task)
