"""Creates the Faust app of a worker and runs it until a signal or a failure ends it."""

import asyncio
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

from streams.engine.runtime import Runtime
from streams.engine.transport import EngineApp

log = logging.getLogger(__name__)


def create_app(
    group: str,
    broker: str,
    *,
    instance: str,
    datadir: Path,
    session_timeout_s: float = 10.0,
    rebalance_timeout_s: float = 60.0,
    broker_wait_s: float = 60.0,
    batch_records: int = 4_000,
    **settings: Any,
) -> EngineApp:
    """Return a Faust app set up for the engine.

    Parameters
    ----------
    group
        Consumer group, and prefix of the transactional id.
    broker
        Faust broker URL, ``kafka://HOST:PORT``.
    instance
        Static member name.
    datadir
        Directory Faust may write to.
    session_timeout_s, rebalance_timeout_s
        When the group gives up on a silent member, and on one that does not rejoin.
    broker_wait_s
        How long to wait at the start for a broker that is away.
    batch_records
        Records of one fetch at most.
    settings
        Further Faust settings: credentials, web.
    """
    app = EngineApp(
        group,
        broker=broker,
        store="memory://",
        datadir=str(datadir),
        autodiscover=False,
        broker_client_id=f"{group}-{instance}",
        consumer_group_instance_id=instance,
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=max(0.5, session_timeout_s / 6),
        broker_rebalance_timeout=rebalance_timeout_s,
        broker_request_timeout=max(40.0, session_timeout_s * 2),
        broker_max_poll_interval=600.0,
        broker_max_poll_records=batch_records,
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_buffer_maxsize=16,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=settings.pop("web_enabled", False),
        **settings,
    )
    app.broker_wait_s = broker_wait_s
    return app


async def run(runtime: Runtime, *, grace_s: float = 10.0) -> int:
    """Run the worker until SIGTERM, SIGINT or a failure; return its exit code.

    Parameters
    ----------
    runtime
        The engine with its agents added.
    grace_s
        How long Faust may take to stop after the last checkpoint before the process ends all the same: it can
        hang while the group waits for a frozen member.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = runtime.app
    starting = asyncio.ensure_future(_start(app))
    ends = {
        asyncio.ensure_future(stop.wait()),
        asyncio.ensure_future(runtime.failed.wait()),
        asyncio.ensure_future(_crash(app)),
    }
    await asyncio.wait({starting, *ends}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and starting.exception() is not None:
        log.error("could not start: %r", starting.exception())
    else:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    code = 0 if stop.is_set() and runtime.failure is None else 1
    await runtime.stop()
    # Everything that counts is committed by now.
    end_process_after(grace_s, code, f"Faust did not stop within {grace_s:.0f} s")
    starting.cancel()
    await app.stop()
    for end in ends:
        end.cancel()
    return code


async def _start(app: EngineApp) -> None:
    await app.start()


async def _crash(app: EngineApp) -> None:
    """Return when a service of the app has crashed; mode offers a flag only."""
    while app.crash_reason is None:  # noqa: ASYNC110  # see above
        await asyncio.sleep(0.2)
    log.error("crashed: %r", app.crash_reason)


def end_process_after(seconds: float, code: int, why: str) -> threading.Timer:
    """End the process after a time, whatever hangs in it; cancel the timer that is returned to prevent it.

    Parameters
    ----------
    seconds
        From now.
    code
        Exit code.
    why
        Said when it happens.
    """

    def end() -> None:
        log.warning("%s, ending the process", why)
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer
