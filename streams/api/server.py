"""The server of a worker: starts before partitions are restored, so that probes get an answer."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import time
from typing import Final

import aiohttp
from aiohttp import web

from online_models.errors import KeepstreamError
from streams import clients
from streams.announce import Announcer, Directory
from streams.api.console import Console
from streams.api.guard import Guard
from streams.api.live import Live
from streams.api.owners import Owners
from streams.api.routes import Routes
from streams.api.worker import ApiWorker, Local, sources
from streams.broadcast import BroadcastReader
from streams.errors import BrokerUnavailableError
from streams.schemas import WorkerAnnouncement
from streams.topics import WORKERS

log = logging.getLogger(__name__)

_BEAT_S: Final = 0.5
_METADATA_S: Final = 10.0
_SHUTDOWN_S: Final = 2.0
_MAX_BODY: Final = 1_024


class ServerError(KeepstreamError):
    """The server cannot listen where it was told to."""


class Server:
    """Serves metrics, health and lookups, and announces where it does.

    Parameters
    ----------
    worker
        What is looked into.
    """

    def __init__(self, worker: ApiWorker) -> None:
        self._worker = worker
        self._local = Local(worker)
        self._directory = Directory()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._watching: asyncio.Task[None] | None = None
        settings = worker.settings
        self._announcer = Announcer(settings)
        self._reader = BroadcastReader(
            clients.confluent(settings.broker), {WORKERS.full_name(settings): self._directory.take}
        )
        self.url = ""

    async def start(self) -> str:
        """Listen, and return the URL that other workers are told.

        Raises
        ------
        ServerError
            If the address cannot be listened on.
        BrokerUnavailableError
            If the broker does not tell how many partitions there are.
        """
        settings = self._worker.settings
        partitions = await asyncio.to_thread(self._partitions)
        self._session = aiohttp.ClientSession()
        owners = Owners(
            self._local, self._directory, partitions, self._session, settings.http.api_token.reveal()
        )
        live = Live(self._worker, self._local, self._directory, self._session, owners.token)
        console = Console(live, settings)
        routes = Routes(self._worker, self._local, owners, self._directory, console)
        app = web.Application(
            middlewares=[Guard(settings.http, self._worker.metrics).middleware], client_max_size=_MAX_BODY
        )
        app.add_routes(routes.table())
        app.on_startup.append(console.start)
        app.on_shutdown.append(console.stop)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        listening = await self._listen(self._runner)
        self.url = settings.http.advertised_url or listening
        self._reader.start()
        self._watching = asyncio.create_task(self._watch())
        log.info("metrics and lookups at %s", self.url)
        return self.url

    async def stop(self) -> None:
        """Withdraw the announcement and close every connection."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        await asyncio.to_thread(self._announcer.withdraw)
        await asyncio.to_thread(self._reader.stop)
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _listen(self, runner: web.AppRunner) -> str:
        http = self._worker.settings.http
        site = web.TCPSite(runner, http.http_host, http.http_port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            assert self._session is not None
            await self._session.close()
            raise ServerError(
                f"cannot listen on {http.http_host} port {http.http_port}: {error.strerror or error}; "
                "choose another with --http-port, 0 takes a free one"
            ) from error
        host, port = runner.addresses[0][:2]
        return f"http://{_reachable(host)}:{port}"

    def _partitions(self) -> dict[str, int]:
        """Return the number of partitions of every agent."""
        from confluent_kafka import KafkaException  # noqa: PLC0415  # commands import this package
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415  # same

        admin = AdminClient(clients.confluent(self._worker.settings.broker))
        try:
            known = admin.list_topics(timeout=_METADATA_S).topics
            return {agent: len(known[topic].partitions) for topic, agent in self._sources().items()}
        except (KafkaException, KeyError) as error:
            raise BrokerUnavailableError(f"cannot count the partitions of {error}") from error

    def _sources(self) -> dict[str, str]:
        return sources(self._worker.settings)

    async def _watch(self) -> None:
        """Measure the loop's delay; say it in the log and on the topic when the standing has changed."""
        was_missing: list[str] | None = None
        while True:
            due = time.monotonic() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            self._worker.metrics.loop_lag(max(0.0, time.monotonic() - due))
            if (missing := self._local.missing()) != was_missing:
                log.info("not ready: %s" if missing else "ready%s", ", ".join(missing))
                was_missing = missing
            membership = self._worker.runtime.membership
            if membership is not None:
                self._announcer.announce(
                    WorkerAnnouncement(
                        self._local.instance, self.url, membership.generation, self._local.owned()
                    )
                )


def _reachable(host: str) -> str:
    """Return a host that others can reach instead of the address that means all of this host's own.

    >>> _reachable("127.0.0.1"), _reachable("::1")
    ('127.0.0.1', '[::1]')
    """
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        try:
            address = ipaddress.ip_address(socket.gethostbyname(socket.gethostname()))
        except OSError:
            return socket.gethostname()
    return f"[{address}]" if address.version == 6 else str(address)  # the version of IP
