"""Finds whoever owns a user or an item: this worker, or another one that is asked over HTTP."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from streams.announce import Directory
from streams.api.worker import Local
from streams.schemas import Refusal, WorkerAnnouncement

log = logging.getLogger(__name__)

FORWARDED: Final = "X-Keepstream-Forwarded"
"""Header of a question that one worker asks another: it is answered from memory, never passed on."""

AGENTS: Final = {"users": "users", "items": "items"}
_TIMEOUT: Final = aiohttp.ClientTimeout(total=3.0, connect=1.0)
_MAX_ANSWER: Final = 4 * 2**20


class Answer(NamedTuple):
    """An HTTP status and a JSON body."""

    status: HTTPStatus
    body: bytes


@dataclass(frozen=True)
class Owners:
    """Answers lookups, asking the other workers where this one does not know.

    Parameters
    ----------
    local
        The partitions of this worker.
    directory
        The other workers.
    partitions
        Number of partitions by agent.
    session
        For the questions to other workers.
    token
        The token they ask for, "" for none.
    """

    local: Local
    directory: Directory
    partitions: Mapping[str, int]
    session: aiohttp.ClientSession
    token: str

    async def find(self, agent: str, key: str, *, path: str) -> Answer:
        """Return the owner's answer; 404 once every partition has been looked into, else 503.

        Parameters
        ----------
        agent
            Whose state holds it.
        key
            Subject of a user, or item id.
        path
            Path of the lookup on every worker, encoded.
        """
        mine = self.ask_here(agent, key)
        if mine.status is HTTPStatus.OK:
            return mine
        looked_into = {partition.source.partition for partition in self.local.opened(agent)}
        others = self.directory.others(self.local.instance)
        questions = [asyncio.ensure_future(self._ask(other, path)) for other in others]
        try:
            for question in asyncio.as_completed(questions):
                answer = await question
                if isinstance(answer, Answer):
                    return answer
                looked_into.update(answer)
        finally:
            for pending in questions:
                pending.cancel()
        return self._nobody(agent, key, looked_into)

    def ask_here(self, agent: str, key: str) -> Answer:
        """Return this worker's own answer; a 404 lists the partitions looked into."""
        found = self.local.look_up(agent, key)
        if found is not None:
            return Answer(HTTPStatus.OK, msgspec.json.encode(found))
        numbers = [partition.source.partition for partition in self.local.opened(agent)]
        return Answer(HTTPStatus.NOT_FOUND, msgspec.json.encode(Refusal("not here", looked_into=numbers)))

    async def _ask(self, other: WorkerAnnouncement, path: str) -> Answer | list[int]:
        """Return the other worker's answer, or the partitions it has looked into in vain."""
        answer = await fetch(self.session, other, path, token=self.token, patience=_TIMEOUT)
        if answer is None or answer.status == HTTPStatus.OK:
            return answer or []
        if answer.status == HTTPStatus.NOT_FOUND:
            with contextlib.suppress(msgspec.DecodeError):
                return msgspec.json.decode(answer.body, type=Refusal).looked_into
        log.warning("worker %s answers a lookup with %d", other.instance, answer.status)
        return []

    def _nobody(self, agent: str, key: str, looked_into: set[int]) -> Answer:
        missing = sorted(set(range(self.partitions[agent])) - looked_into)
        if not missing:
            return _error(HTTPStatus.NOT_FOUND, f"{_NAMES[agent]} {key!r} is not known")
        return _error(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "not found in the partitions that can be read now; try again",
            waiting_for=[f"{agent}[{number}]" for number in missing],
        )


async def fetch(
    session: aiohttp.ClientSession,
    other: WorkerAnnouncement,
    path: str,
    *,
    token: str,
    patience: aiohttp.ClientTimeout,
) -> Answer | None:
    """Ask another worker something that it answers from memory; None where no answer comes.

    Parameters
    ----------
    session
        Asks.
    other
        Who is asked.
    path
        Encoded path and query.
    token
        What it is shown, "" for nothing.
    patience
        How long it may take.
    """
    headers = {FORWARDED: "1"} | ({"Authorization": f"Bearer {token}"} if token else {})
    url = URL(other.url.rstrip("/") + path, encoded=True)
    try:
        async with session.get(url, headers=headers, timeout=patience) as response:
            return Answer(HTTPStatus(response.status), await _whole(response.content))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        # Only its kind: the message may hold the address, and in it an id.
        log.info("worker %s does not answer a lookup: %s", other.instance, type(error).__name__)
        return None


_NAMES: Final = {"users": "user", "items": "item"}


def lookup_path(kind: str, key: str) -> str:
    """Return the path of a lookup; the id goes into the query, where every character survives.

    >>> lookup_path("items", "../sku 1/2")
    '/v1/items?id=..%2Fsku%201%2F2'
    """
    return f"/v1/{kind}?id={quote(key, safe='')}"


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """Return an answer to its end; one that is larger than any of ours is an error."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _MAX_ANSWER:
            raise ValueError(f"the answer is larger than {_MAX_ANSWER} bytes")
    return bytes(body)


def _error(status: HTTPStatus, message: str, **more: Any) -> Answer:
    return Answer(status, msgspec.json.encode({"error": message, **more}))
