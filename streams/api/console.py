"""The console: its page and files, and the stream of events that keeps the page up to date."""

import asyncio
import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from streams import web as files
from streams.api.boards import Boards
from streams.api.feed import NEWEST, Feed, News
from streams.api.guard import RETRY_AFTER_S, refuse
from streams.api.live import Live
from streams.schemas import ChurnAlert, LiveSample, ModelPoint
from streams.settings import Settings

log = logging.getLogger(__name__)

MAX_STREAMS: Final = 16
"""Pages that one worker keeps up to date at the same time."""

_SAMPLE_S: Final = 1.0
_SAMPLES: Final = 600
_POINTS: Final = 2 * NEWEST
_WAITING: Final = 64
"""Messages that may wait for a page before it is let go; it comes back by itself."""

_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            *(f"{kind} 'self'" for kind in ("script-src", "style-src", "img-src", "connect-src")),
            *(f"{kind} 'none'" for kind in ("base-uri", "form-action", "frame-ancestors")),
        ]
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class _File(NamedTuple):
    """A file of the page: bytes, type, and a name for just these bytes."""

    body: bytes
    kind: str
    tag: str


class Console:
    """Serves the console.

    While nobody looks, only this worker's own samples are kept, and those only while there is no other
    worker; alerts, models and boards are read from their topics as soon as somebody does.

    Parameters
    ----------
    live
        Takes the samples.
    settings
        Where the broker is.
    """

    def __init__(self, live: Live, settings: Settings) -> None:
        self.live = live
        self._settings = settings
        self._page = _file(files.PAGE, "text/html")
        self._files = {name: _file(name, kind) for name, kind in files.ASSETS.items()}
        self._samples: deque[LiveSample] = deque(maxlen=_SAMPLES)
        self._alerts: OrderedDict[str, ChurnAlert] = OrderedDict()
        self._points: OrderedDict[str, ModelPoint] = OrderedDict()
        self._boards = Boards()
        self._watching: set[asyncio.Queue[bytes | None]] = set()
        self._feed: Feed | None = None
        self._sampling: asyncio.Task[None] | None = None

    async def start(self, _: web.Application) -> None:
        """Begin to take samples."""
        self._sampling = asyncio.create_task(self._sample())

    async def stop(self, _: web.Application) -> None:
        """End every stream."""
        if self._sampling is not None:
            self._sampling.cancel()
        for queue in list(self._watching):
            self._let_go(queue)

    def page(self) -> web.Response:
        """Return the page."""
        return web.Response(
            body=self._page.body,
            content_type=self._page.kind,
            charset="utf-8",
            headers=_HEADERS | {"Vary": "Accept"},
        )

    async def asset(self, request: web.Request) -> web.Response:
        """Answer with a file that the page loads."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound(text="the console has no such file")
        headers = _HEADERS | {"ETag": file.tag}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return web.Response(body=file.body, content_type=file.kind, charset="utf-8", headers=headers)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send what is known, then whatever comes, as server-sent events."""
        if len(self._watching) >= MAX_STREAMS:
            return refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many consoles are open", {"Retry-After": RETRY_AFTER_S}
            )
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        self._watching.add(queue)
        try:
            await response.prepare(request)
            await response.write(self._known())
            if self._feed is None:
                self._feed = self._read()
            while (message := await queue.get()) is not None:
                await response.write(message)
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._watching.discard(queue)
            self._forget_if_alone()
        return response

    def _known(self) -> bytes:
        return (
            _event("samples", list(self._samples))
            + _event("alerts", list(self._alerts.values()))
            + _event("models", list(self._points.values()))
            + _event("boards", self._boards.all())
        )

    def _read(self) -> Feed:
        """Start to read; what a feed says that was ended since is not heard."""
        loop = asyncio.get_running_loop()

        def hand_over(news: News) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._take, feed, news)

        feed = Feed(self._settings, hand_over)
        feed.start()
        return feed

    def _take(self, feed: Feed, found: News) -> None:
        if feed is not self._feed:
            return
        news = _remember(self._alerts, [(alert.id, alert) for alert in found.alerts], NEWEST)
        if news:
            self._send("alerts", news)
        news = _remember(self._points, [(point.model_version, point) for point in found.models], _POINTS)
        if news:
            self._send("models", news)
        if found.boards:
            self._send("boards", self._boards.add(found.boards))

    def _forget_if_alone(self) -> None:
        """End reading with the last page: what its topics no longer hold must not live on here."""
        if self._watching or self._feed is None:
            return
        self._feed.leave()
        self._feed = None
        self._alerts.clear()
        self._points.clear()
        self._boards.clear()

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(_SAMPLE_S)
            if not self._watching and not self.live.alone:
                self._samples.clear()  # a history of this worker alone would not go on with that of all
                continue
            try:
                sample = await self.live.shop()
            except Exception:
                log.exception("no sample for the console")
                continue
            self._samples.append(sample)
            self._send("samples", [sample])

    def _send(self, name: str, documents: Sequence[Any]) -> None:
        message = _event(name, documents)
        for queue in list(self._watching):
            if queue.full():
                self._let_go(queue)
            else:
                queue.put_nowait(message)

    def _let_go(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._watching.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


def _event(name: str, documents: Sequence[Any]) -> bytes:
    r"""Return documents as one server-sent event.

    >>> _event("samples", [])
    b'event: samples\ndata: []\n\n'
    """
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(documents))


def _remember(known: OrderedDict[str, Any], found: Sequence[tuple[str, Any]], most: int) -> list[Any]:
    """Keep the newest documents by id, and return those that are new.

    >>> known = OrderedDict(a=1)
    >>> _remember(known, [("a", 1), ("b", 2), ("c", 3)], 2), list(known)
    ([2, 3], ['b', 'c'])
    """
    news = []
    for name, document in found:
        if name not in known:
            known[name] = document
            news.append(document)
    while len(known) > most:
        known.popitem(last=False)
    return news


def _file(name: str, kind: str) -> _File:
    body = files.read(name)
    return _File(body, kind, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
