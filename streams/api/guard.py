"""Who may ask, and how much: every request passes here before it is answered."""

import hmac
import ipaddress
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from yarl import URL

from streams.api.limits import RateLimit
from streams.api.owners import FORWARDED
from streams.metrics import Metrics
from streams.settings.advice import is_loopback
from streams.settings.sections import Http

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_AT_ONCE: Final = 128
"""Lookups under way at the same time; one that is forwarded waits for other workers."""

RETRY_AFTER_S: Final = "2"
_LOOKUP: Final = re.compile(r"/v1/(user|item|model)")
_OFF: Final = "lookups are off: other machines can reach this worker, and no api_token is set"


class Guard:
    """Refuses what may not be asked, and turns errors into JSON.

    Parameters
    ----------
    http
        Where the server listens, the token, the rate.
    metrics
        Counts lookups.
    """

    def __init__(self, http: Http, metrics: Metrics) -> None:
        self._token, self._metrics = http.api_token.reveal(), metrics
        self._open = not self._token and is_loopback(http.http_host)
        self._off = not self._token and not self._open
        self._names = {"localhost", http.http_host, URL(http.advertised_url).host}
        self._limit = RateLimit(http.rate_limit)
        self._under_way = 0
        if self._off:
            log.warning("%s; metrics and health are served", _OFF)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or refuse it."""
        lookup = request.path.startswith("/v1/")
        refusal = self._refusal(request) if lookup else None
        if request.can_read_body:
            refusal = refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "requests have no body here")
            refusal.force_close()
        began = time.monotonic()
        self._under_way += lookup
        try:
            response = refusal or await _answer(request, handler)
        finally:
            self._under_way -= lookup
        if lookup:
            response.headers["Cache-Control"] = "no-store"
        if kind := _LOOKUP.match(request.path):
            self._metrics.lookup(kind[1], response.status, time.monotonic() - began)
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Return why a lookup is not answered; None if it is."""
        if self._off:
            return refuse(HTTPStatus.FORBIDDEN, _OFF)
        if self._token and not _shows(request, self._token):
            return refuse(HTTPStatus.UNAUTHORIZED, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
        if self._open and not self._names_us(request):
            return refuse(HTTPStatus.FORBIDDEN, "this worker is not known under that host name")
        # Other workers pass on what many clients ask; what they ask is answered from memory.
        if FORWARDED not in request.headers and (wait_s := self._limit.wait_s(request.remote or "")):
            return refuse(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too many lookups from this address; see rate_limit",
                {"Retry-After": str(math.ceil(wait_s))},
            )
        if self._under_way >= MAX_AT_ONCE:
            return refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many lookups at once", {"Retry-After": RETRY_AFTER_S}
            )
        return None

    def _names_us(self, request: web.Request) -> bool:
        """Return whether a request was meant for us.

        A page in a browser on this machine can make a name of its own point here, and so read what is open to
        this machine only; it cannot change the name in its requests.
        """
        host = URL(f"http://{request.host}").host if request.host else None
        return host in self._names or _is_address(host or "")


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        allowed = {name: value for name, value in error.headers.items() if name == "Allow"}
        return refuse(HTTPStatus(error.status), error.text or error.reason, allowed)
    except Exception:
        log.exception("a lookup failed")
        return refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a bug; see the worker's log")


def refuse(status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return an answer that says why there is none."""
    body: Any = msgspec.json.encode({"error": message})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _shows(request: web.Request, token: str) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    # Compared in constant time, so that the answer's delay says nothing about the token.
    return scheme.lower() == "bearer" and hmac.compare_digest(
        shown.strip().encode(errors="surrogateescape"), token.encode()
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
