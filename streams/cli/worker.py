"""`keepstream worker`: processes events until it is told to stop."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams import logs
from streams.cli.options import BootstrapServers, Config, DataDir, TopicPrefix
from streams.settings import Settings, load

if TYPE_CHECKING:
    from streams.app import Worker

_NEW_OBJECTS = 20_000


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
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option(help="From which level on to log, to standard error."),
    ] = None,
    log_format: Annotated[
        Literal["console", "json"] | None, typer.Option(help="Lines for people, or a JSON object a line.")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Process events: keep state, raise churn alerts, recommend, learn.

    Waits for the broker, creates missing topics, restores its state, and runs until Ctrl-C or SIGTERM, which
    end it with a last checkpoint and exit code 0; 1 means that it gave up, and the log says why. Start more
    of them to share the work; on the embedded broker start one. Every setting can also be given as an
    environment variable or in a file: see `keepstream config show`. For example:

      keepstream worker

      keepstream worker --clock live --bootstrap-servers kafka-1:9092

      keepstream worker --http-port 0 --log-format json
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
        log_level=log_level,
        log_format=log_format,
    )
    logs.set_up(settings.logs)
    sys.exit(_run(_prepared(settings)))


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
        _look_seldom_for_cycles()
        _greet(worker)
        return await worker.run()

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:  # before the worker's own handler was in place
        return 0


def _look_seldom_for_cycles() -> None:
    """Let the garbage collector leave alone what stays, and look once in some batches, not often in each.

    A batch is thousands of records that no cycle keeps alive; looking through them took a tenth of the time.
    """
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


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
