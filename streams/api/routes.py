"""The routes of the server, and who may use them."""

import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from aiohttp import web

from streams.announce import Directory
from streams.api.owners import FORWARDED, Answer, Owners, lookup_path
from streams.api.worker import ApiWorker, Local
from streams.metrics import Held, Metrics, table
from streams.schemas import ModelSnapshot
from streams.schemas.fields import MAX_ID

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_RETRY_AFTER_S: Final = "2"
_SUBJECT: Final = ("u:", "a:")
_LOOKUP: Final = re.compile(r"/v1/(user|item|model)")


def guard(token: str, metrics: Metrics) -> Any:
    """Return the middleware that asks for the token under /v1, and turns errors into JSON."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if token and request.path.startswith("/v1/") and not _shows(request, token):
            answer = _json({"error": "a bearer token is needed"}, HTTPStatus.UNAUTHORIZED)
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        began = time.monotonic()
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = _json({"error": error.text or error.reason}, HTTPStatus(error.status))
            response.headers.extend({k: v for k, v in error.headers.items() if k == "Allow"})
        except Exception:
            log.exception("a lookup failed")
            response = _json(
                {"error": "this is a bug; see the worker's log"}, HTTPStatus.INTERNAL_SERVER_ERROR
            )
        if kind := _LOOKUP.match(request.path):
            metrics.lookup(kind[1], response.status, time.monotonic() - began)
        return response

    return middleware


@dataclass(frozen=True)
class Routes:
    """Answers requests.

    Parameters
    ----------
    worker, local, owners, directory
        What the answers come from.
    """

    worker: ApiWorker
    local: Local
    owners: Owners
    directory: Directory

    def table(self) -> list[web.RouteDef]:
        """Return every route."""
        return [
            web.get("/", self.index),
            web.get("/metrics", self.metrics),
            web.get("/health/live", self.live),
            web.get("/health/ready", self.ready),
            web.get("/v1/users", self.user),
            web.get("/v1/users/{id:.+}", self.user),
            web.get("/v1/items", self.item),
            web.get("/v1/items/{id:.+}", self.item),
            web.get("/v1/model", self.model),
            web.get("/v1/status", self.status),
        ]

    async def index(self, _: web.Request) -> web.Response:
        """List what can be asked."""
        paths = [route.path for route in self.table() if route.path != "/"]
        return _json({"service": "keepstream", "version": version("keepstream"), "paths": paths})

    async def metrics(self, _: web.Request) -> web.Response:
        """Answer Prometheus."""
        self._take_standing()
        return web.Response(
            body=self.worker.metrics.render(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def live(self, _: web.Request) -> web.Response:
        """Say that the event loop runs; whoever gets no answer knows that it does not."""
        return _json({"alive": True})

    async def ready(self, _: web.Request) -> web.Response:
        """Say whether everything is restored and read, or what is missing."""
        missing = self.local.missing()
        status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
        return _json({"ready": not missing, "waiting_for": missing}, status)

    async def user(self, request: web.Request) -> web.Response:
        """Answer with the profile of a user: `ID` is a user_id, `a:ID` an anonymous visitor."""
        key = _id(request)
        return await self._find(request, "users", key if key.startswith(_SUBJECT) else f"u:{key}")

    async def item(self, request: web.Request) -> web.Response:
        """Answer with what is known of an item."""
        return await self._find(request, "items", _id(request))

    async def model(self, _: web.Request) -> web.Response:
        """Answer with the model card of the newest snapshot that this worker scores with."""
        snapshot = self.worker.broadcast.snapshot
        if snapshot is None:
            return _json({"error": "no model yet: it needs labels, which mature after the horizon"}, 404)
        return _json(model_card(snapshot))

    async def status(self, _: web.Request) -> web.Response:
        """Answer with partitions, positions, counters and the other workers."""
        runtime = self.worker.runtime
        partitions = [
            {
                "agent": agent,
                "topic": held.source.topic,
                "partition": held.source.partition,
                "position": held.position,
                "open": held.opened,
            }
            for agent, held in self.local.held()
        ]
        return _json(
            {
                "instance": self.local.instance,
                "version": version("keepstream"),
                "group": self.worker.settings.engine.group,
                "generation": runtime.membership.generation if runtime.membership else 0,
                "ready": not self.local.missing(),
                "waiting_for": self.local.missing(),
                "partitions": partitions,
                "counters": _counters(self.worker.metrics),
                "workers": [msgspec.to_builtins(worker) for worker in self.directory.workers()],
            }
        )

    async def _find(self, request: web.Request, agent: str, key: str) -> web.Response:
        if FORWARDED in request.headers:
            return _respond(self.owners.ask_here(agent, key))
        return _respond(await self.owners.find(agent, key, path=lookup_path(agent, key)))

    def _take_standing(self) -> None:
        membership = self.worker.runtime.membership
        self.worker.metrics.standing(
            membership.generation if membership else 0,
            [
                Held(agent, held.source, held.opened, max(0, held.fetch_next - held.position))
                for agent, held in self.local.held()
            ],
            ready=not self.local.missing(),
        )


def model_card(snapshot: ModelSnapshot) -> dict[str, Any]:
    """Return what a model is, in numbers that people can read."""
    scorer = snapshot.state.get("scorer", {})
    return {
        "model": snapshot.model,
        "model_version": snapshot.model_version,
        "event_time": snapshot.event_time,
        "examples": snapshot.examples,
        "ready": scorer.get("ready"),
        "threshold": scorer.get("threshold"),
        "metrics": scorer.get("card", {}),
        "bias": scorer.get("bias"),
        "weights": dict(zip(scorer.get("features", ()), scorer.get("weights", ()), strict=True)),
    }


def _id(request: web.Request) -> str:
    key = request.match_info.get("id") or request.query.get("id", "")
    if not 0 < len(key.removeprefix("u:").removeprefix("a:")) <= MAX_ID:
        raise web.HTTPBadRequest(text=f"an id has 1 to {MAX_ID} characters")
    return key


def _shows(request: web.Request, token: str) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    # Compared in constant time, so that the answer's delay says nothing about the token.
    return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode())


def _counters(metrics: Metrics) -> dict[str, Any]:
    names = {
        "accepted": table.EVENTS_ACCEPTED,
        "duplicates": table.EVENTS_DUPLICATE,
        "scores": table.SCORES,
        "lists": table.LISTS,
        "checkpoints": table.CHECKPOINTS,
    }
    found: dict[str, Any] = {name: int(metrics.value(metric.name)) for name, metric in names.items()}
    found["rejected"] = _by_label(metrics, table.EVENTS_REJECTED)
    found["alerts"] = _by_label(metrics, table.ALERTS)
    return found


def _by_label(metrics: Metrics, metric: table.Metric) -> dict[str, int]:
    return {labels[0]: int(value) for labels, value in metrics.values(metric) if value}


def _respond(answer: Answer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body, content_type="application/json")
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = _RETRY_AFTER_S
    return response


def _json(document: Any, status: int = HTTPStatus.OK) -> web.Response:
    return _respond(Answer(HTTPStatus(status), msgspec.json.encode(document)))
