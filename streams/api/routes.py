"""The routes of the server."""

from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from aiohttp import web

from streams.announce import Directory
from streams.api.guard import RETRY_AFTER_S
from streams.api.openapi import document
from streams.api.owners import FORWARDED, Answer, Owners, lookup_path
from streams.api.worker import ApiWorker, Local
from streams.metrics import Held, Metrics, table
from streams.schemas import Counters, ModelCard, ModelSnapshot, PartitionStatus, WorkerStatus
from streams.schemas.fields import MAX_ID, MAX_SUBJECT

_SUBJECT: Final = ("u:", "a:")


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
            web.get("/v1/openapi.json", self.openapi),
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
        key = _id(request, MAX_SUBJECT)
        return await self._find(request, "users", key if key.startswith(_SUBJECT) else f"u:{key}")

    async def item(self, request: web.Request) -> web.Response:
        """Answer with what is known of an item."""
        return await self._find(request, "items", _id(request, MAX_ID))

    async def model(self, _: web.Request) -> web.Response:
        """Answer with the model card of the snapshot that this worker scores with."""
        snapshot = self.worker.broadcast.snapshot
        if snapshot is None:
            return _json({"error": "no model yet: it needs labels, which mature after the horizon"}, 404)
        newest = self.worker.broadcast.newest or snapshot
        return _json(model_card(snapshot, newest.model_version))

    async def status(self, _: web.Request) -> web.Response:
        """Answer with partitions, positions, counters and the other workers."""
        runtime = self.worker.runtime
        partitions = [
            PartitionStatus(agent, held.source.topic, held.source.partition, held.position, held.opened)
            for agent, held in self.local.held()
        ]
        missing = self.local.missing()
        return _json(
            WorkerStatus(
                instance=self.local.instance,
                version=version("keepstream"),
                group=self.worker.settings.engine.group,
                generation=runtime.membership.generation if runtime.membership else 0,
                ready=not missing,
                waiting_for=missing,
                partitions=partitions,
                counters=_counters(self.worker.metrics),
                workers=self.directory.workers(),
            )
        )

    async def openapi(self, _: web.Request) -> web.Response:
        """Answer with the description of all of this."""
        return _json(document(token=bool(self.worker.settings.http.api_token)))

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


def model_card(snapshot: ModelSnapshot, newest_version: str) -> ModelCard:
    """Return what a model is, in numbers that people can read, and which version was published last."""
    scorer = snapshot.state.get("scorer", {})
    return ModelCard(
        model=snapshot.model,
        model_version=snapshot.model_version,
        newest_version=newest_version,
        event_time=snapshot.event_time,
        examples=snapshot.examples,
        ready=scorer.get("ready"),
        threshold=scorer.get("threshold"),
        metrics=scorer.get("card", {}),
        bias=scorer.get("bias"),
        weights=dict(zip(scorer.get("features", ()), scorer.get("weights", ()), strict=True)),
    )


def _id(request: web.Request, longest: int) -> str:
    key = request.match_info.get("id") or request.query.get("id", "")
    if not 0 < len(key) <= longest:
        raise web.HTTPBadRequest(text=f"an id has 1 to {longest} characters")
    return key


def _counters(metrics: Metrics) -> Counters:
    return Counters(
        accepted=int(metrics.value(table.EVENTS_ACCEPTED.name)),
        duplicates=int(metrics.value(table.EVENTS_DUPLICATE.name)),
        scores=int(metrics.value(table.SCORES.name)),
        lists=int(metrics.value(table.LISTS.name)),
        checkpoints=int(metrics.value(table.CHECKPOINTS.name)),
        rejected=_by_label(metrics, table.EVENTS_REJECTED),
        alerts=_by_label(metrics, table.ALERTS),
    )


def _by_label(metrics: Metrics, metric: table.Metric) -> dict[str, int]:
    return {labels[0]: int(value) for labels, value in metrics.values(metric) if value}


def _respond(answer: Answer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body, content_type="application/json")
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_AFTER_S
    return response


def _json(document: Any, status: int = HTTPStatus.OK) -> web.Response:
    return _respond(Answer(HTTPStatus(status), msgspec.json.encode(document)))
