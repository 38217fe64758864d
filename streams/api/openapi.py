"""The description of the HTTP interface, OpenAPI 3.1, from the same structs that the answers are made of."""

from inspect import cleandoc
from typing import Any, Final, NamedTuple

import msgspec

from streams.schemas import (
    Alive,
    ExperimentResults,
    Index,
    ItemProfile,
    LiveSample,
    ModelCard,
    Readiness,
    Refusal,
    UserProfile,
    WorkerStatus,
)
from streams.schemas.fields import MAX_ID, MAX_SUBJECT

_COMPONENTS: Final = "#/components/schemas/{name}"


class _Path(NamedTuple):
    """One path: what it is for, what it answers, how its key may be written, and when it refuses."""

    name: str
    summary: str
    answer: type[msgspec.Struct] | None
    longest_id: int = 0
    refusals: tuple[int, ...] = ()


_MISSING: Final = (400, 404, 503)
_PATHS: Final = {
    "/": _Path("index", "What can be asked; a browser gets the console", Index),
    "/metrics": _Path("metrics", "Everything measured, for Prometheus", None),
    "/health/live": _Path("live", "Whether the event loop runs", Alive),
    "/health/ready": _Path("ready", "Whether everything is restored and read", Readiness),
    "/v1/users/{id}": _Path("user", "A user: counts, churn risk, list", UserProfile, MAX_SUBJECT, _MISSING),
    "/v1/users": _Path(
        "userById", "The same, for ids that are hard to put into a path", UserProfile, MAX_SUBJECT, _MISSING
    ),
    "/v1/items/{id}": _Path("item", "An item: touches, popularity, partners", ItemProfile, MAX_ID, _MISSING),
    "/v1/items": _Path(
        "itemById", "The same, for ids that are hard to put into a path", ItemProfile, MAX_ID, _MISSING
    ),
    "/v1/model": _Path("model", "The churn model that users are scored with", ModelCard, refusals=(404,)),
    "/v1/experiments": _Path("experiments", "What has come of experiments with lists", ExperimentResults),
    "/v1/status": _Path("status", "Partitions, positions, counters, workers", WorkerStatus),
    "/v1/live": _Path("liveSample", "What all workers are doing now", LiveSample),
    "/v1/stream": _Path("stream", "Samples, alerts and models as they come, without end", None),
    "/v1/openapi.json": _Path("openapi", "This document", None),
}

_TEXTS: Final = {"/metrics": "text/plain", "/v1/stream": "text/event-stream"}

_REFUSALS: Final = {
    400: "The id is empty or too long",
    401: "No token, or another one",
    403: "Lookups are off, or the host name is not ours",
    404: "Nobody knows it",
    413: "A request has a body",
    429: "Too many lookups from this address",
    503: "A partition has no owner right now, or too much is asked at once",
}


def document(*, token: bool) -> dict[str, Any]:
    """Return the OpenAPI document.

    Parameters
    ----------
    token
        Whether lookups ask for a token.

    >>> sorted(document(token=True)["paths"])[:3]
    ['/', '/health/live', '/health/ready']
    """
    from importlib.metadata import version  # noqa: PLC0415  # slow to import

    structs = [path.answer for path in _PATHS.values() if path.answer is not None]
    _, schemas = msgspec.json.schema_components([*structs, Refusal], ref_template=_COMPONENTS)
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = cleandoc(schema["description"])
    components: dict[str, Any] = {"schemas": schemas}
    if token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Keepstream",
            "version": version("keepstream"),
            "description": "Read-only lookups of a worker; any worker answers for all of them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {name: {"get": _operation(name, path, token=token)} for name, path in _PATHS.items()},
        "components": components,
    }


def _operation(name: str, path: _Path, *, token: bool) -> dict[str, Any]:
    lookup = name.startswith("/v1/")
    refusals = {*path.refusals, 413} | ({403, 429, 503} if lookup else set())
    refusals |= {401} if lookup and token else set()
    responses: dict[str, Any] = {"200": {"description": path.summary, "content": _content(name, path)}}
    if path.answer is Readiness:
        responses["503"] = {"description": "Not yet", "content": _content(name, path)}
    for status in sorted(refusals):
        responses[str(status)] = _refusal(status)
    found: dict[str, Any] = {"operationId": path.name, "summary": path.summary, "responses": responses}
    if path.longest_id:
        found["parameters"] = [_parameter(name, path)]
    if lookup and token:
        found["security"] = [{"token": []}]
    return found


def _content(name: str, path: _Path) -> dict[str, Any]:
    if name in _TEXTS:
        return {_TEXTS[name]: {"schema": {"type": "string"}}}
    if path.answer is None:
        return {"application/json": {"schema": {"type": "object"}}}
    if path.answer is Index:
        html = {"text/html": {"schema": {"type": "string"}}}
        return {"application/json": {"schema": _reference(path.answer)}} | html
    return {"application/json": {"schema": _reference(path.answer)}}


def _refusal(status: int) -> dict[str, Any]:
    return {
        "description": _REFUSALS[status],
        "content": {"application/json": {"schema": _reference(Refusal)}},
    }


def _parameter(name: str, path: _Path) -> dict[str, Any]:
    about = "a user_id, or `a:` and an anonymous_id" if path.answer is UserProfile else "an item_id"
    return {
        "name": "id",
        "in": "path" if "{" in name else "query",
        "required": True,
        "description": about,
        "schema": {"type": "string", "minLength": 1, "maxLength": path.longest_id},
    }


def _reference(struct: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _COMPONENTS.format(name=struct.__name__)}
