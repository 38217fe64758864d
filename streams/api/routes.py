"""The routes of the server."""

from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from aiohttp import web

from streams.agents.experiments import results
from streams.announce import Directory
from streams.api.console import Console
from streams.api.guard import RETRY_AFTER_S
from streams.api.live import PATH, counters, take_standing
from streams.api.openapi import document
from streams.api.owners import FORWARDED, Answer, Owners, lookup_path
from streams.api.worker import ApiWorker, Local
from streams.schemas import ModelCard, ModelSnapshot, PartitionStatus, WorkerStatus
from streams.schemas.fields import MAX_ID, MAX_SUBJECT

_SUBJECT: Final = ("u:", "a:")


@dataclass(frozen=True)
class Routes:
    """Answers requests.

    Parameters
    ----------
    worker, local, owners, directory
        What the answers come from.
    console
        The page for people.
    """

    worker: ApiWorker
    local: Local
    owners: Owners
    directory: Directory
    console: Console

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
            web.get("/v1/experiments", self.experiments),
            web.get("/v1/status", self.status),
            web.get(PATH, self.live_sample),
            web.get("/v1/stream", self.console.stream),
            web.get("/v1/openapi.json", self.openapi),
            web.get("/console/{name:.+}", self.console.asset),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """Show the console to a browser, and list what can be asked to everybody else."""
        if "text/html" in request.headers.get("Accept", ""):
            return self.console.page()
        paths = [
            route.path for route in self.table() if route.path.startswith(("/v1", "/metrics", "/health"))
        ]
        return _json({"service": "keepstream", "version": version("keepstream"), "paths": paths})

    async def metrics(self, _: web.Request) -> web.Response:
        """Answer Prometheus."""
        take_standing(self.worker, self.local)
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

    async def experiments(self, _: web.Request) -> web.Response:
        """Answer with what has come of the experiments with lists; every worker knows it."""
        alpha = self.worker.settings.experiments.experiment_alpha
        return _json(results(self.worker.broadcast.experiments, alpha))

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
                counters=counters(self.worker.metrics),
                workers=self.directory.workers(),
            )
        )

    async def live_sample(self, request: web.Request) -> web.Response:
        """Answer with what all workers are doing now; another worker is answered for this one alone."""
        live = self.console.live
        return _json(live.own() if FORWARDED in request.headers else await live.shop())

    async def openapi(self, _: web.Request) -> web.Response:
        """Answer with the description of all of this."""
        return _json(document(token=bool(self.worker.settings.http.api_token)))

    async def _find(self, request: web.Request, agent: str, key: str) -> web.Response:
        if FORWARDED in request.headers:
            return _respond(self.owners.ask_here(agent, key))
        return _respond(await self.owners.find(agent, key, path=lookup_path(agent, key)))


def model_card(snapshot: ModelSnapshot, newest_version: str) -> ModelCard:
    """Return what a model is, in numbers that people can read, and which version was published last."""
    scorer = snapshot.state.get("scorer") or snapshot.state.get("ranker", {})
    # A ranker has a hidden layer besides: these are its linear weights.
    weights = scorer.get("weights") or scorer.get("layers", {}).get("direct", ())
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
        weights=dict(zip(scorer.get("features", ()), weights, strict=True)),
    )


def _id(request: web.Request, longest: int) -> str:
    key = request.match_info.get("id") or request.query.get("id", "")
    if not 0 < len(key) <= longest:
        raise web.HTTPBadRequest(text=f"an id has 1 to {longest} characters")
    return key


def _respond(answer: Answer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body, content_type="application/json")
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_AFTER_S
    return response


def _json(document: Any, status: int = HTTPStatus.OK) -> web.Response:
    return _respond(Answer(HTTPStatus(status), msgspec.json.encode(document)))
