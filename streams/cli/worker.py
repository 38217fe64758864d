"""`keepstream worker`: processes events until it is told to stop."""

import dataclasses
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from streams.cli.options import BootstrapServers, Config, DataDir, TopicPrefix
from streams.settings import Settings, load

if TYPE_CHECKING:
    from streams.app import Worker

_NOISY: Final = ("aiokafka", "faust", "mode", "asyncio", "kafka", "aiohttp")
"""Loggers of libraries: their warnings are wanted, their news are not."""

_SAME_NEWS_S: Final = 10.0

_SERVICES: Final = "[^"
"""How Faust begins the lines in which its services tell that they start and stop."""


class _Sparingly(logging.Filter):
    """Lets a library say the same thing once in ten seconds: some repeat it ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is news."""
        if not record.name.startswith(_NOISY):
            return True
        what = (record.name, str(record.msg))
        news = record.created - self._said.get(what, 0.0) >= _SAME_NEWS_S
        if news:
            self._said[what] = record.created
        return news


def command(
    *,
    instance: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Stable name in the group; else host and number."),
    ] = None,
    group: Annotated[str | None, typer.Option(metavar="NAME", help="Consumer group of this shop.")] = None,
    http_host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to listen.")] = None,
    http_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Port for metrics and lookups; 0 takes a free one.")
    ] = None,
    clock: Annotated[
        Literal["event", "live"] | None,
        typer.Option(help="Whether the wall clock moves time on too, once all events are read."),
    ] = None,
    accept_gap: Annotated[
        bool | None,
        typer.Option("--accept-gap", help="Go on where the log no longer holds the position, and count it."),
    ] = None,
    leave: Annotated[
        bool | None,
        typer.Option("--leave", help="Leave the group when stopping: for a worker that will not come back."),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="What to log, to standard error.")
    ] = "info",
    data_dir: DataDir = None,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Process events: keep state, raise churn alerts, recommend, learn.

    Waits for the broker, creates missing topics, restores its state, and runs until Ctrl-C or SIGTERM, which
    end it with a last checkpoint. Start more of them to share the work; on the embedded broker start one.
    Every setting can also be given as an environment variable or in a file: see `keepstream config show`.
    """
    settings = load(
        config,
        bootstrap_servers=bootstrap_servers,
        topic_prefix=topic_prefix,
        data_dir=data_dir,
        instance=instance,
        group=group,
        http_host=http_host,
        http_port=http_port,
        clock=clock,
        accept_gap=accept_gap,
        leave_on_stop=leave,
    )
    set_up_logging(log_level)
    sys.exit(_run(_prepared(settings)))


def set_up_logging(level: str) -> None:
    """Log to standard error, one line a message; libraries only when they have something to complain of."""
    logging.basicConfig(
        level=level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    if level != "debug":
        for handler in logging.getLogger().handlers:
            handler.addFilter(_is_news)
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)
    else:
        logging.getLogger("librdkafka").setLevel(logging.DEBUG)
        logging.getLogger("kafka.net").setLevel(logging.ERROR)


def _is_news(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or not record.getMessage().startswith(_SERVICES)


def _prepared(settings: Settings) -> Settings:
    """Wait for the broker, make the topics, and return settings that tell where and how many they are."""
    from streams import clients, topics

    settings = clients.require(settings)
    clients.wait_for_broker(settings.broker, say=_say)
    for name in topics.ensure(settings):
        _say(f"created topic {name}")
    existing = topics.list_existing(settings)
    count = topics.partition_count(topics.EVENTS, settings, existing)
    return dataclasses.replace(settings, topics=dataclasses.replace(settings.topics, events_partitions=count))


def _run(settings: Settings) -> int:
    import asyncio

    async def run() -> int:
        from streams.app import build

        worker = build(settings)
        _greet(worker)
        return await worker.run()

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:  # before the worker's own handler was in place
        return 0


def _greet(worker: "Worker") -> None:
    settings = worker.settings
    host, port = settings.http.http_host, settings.http.http_port
    _say(
        f"worker {worker.runtime.settings.instance} of group {settings.engine.group} at "
        f"{settings.broker.bootstrap_servers}, data in {Path(settings.engine.data_dir).resolve()}"
    )
    if port:
        _say(f"metrics and lookups: http://{host}:{port} (/metrics, /health/ready, /v1/users/ID, /v1/status)")
    _say("Ctrl-C stops it after a last checkpoint")


def _say(text: str) -> None:
    typer.echo(text, err=True)
