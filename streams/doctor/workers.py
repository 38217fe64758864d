"""What the doctor asks the workers, over HTTP."""

import json
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from streams.excerpt import Place
from streams.schemas import WorkerAnnouncement
from streams.settings import Settings

_TIMEOUT_S: Final = 5.0
_SECOND_S: Final = 1.0


class Asked(NamedTuple):
    """What became of asking a worker for its status.

    Parameters
    ----------
    instance, url
        Who was asked where.
    status
        Its answer; None where there was none.
    trouble
        Why there was none; empty otherwise.
    ahead_s
        By how much its clock is ahead of ours at least, seconds.
    """

    instance: str
    url: str
    status: Mapping[str, Any] | None
    trouble: str = ""
    ahead_s: float = 0.0

    @property
    def positions(self) -> dict[Place, int]:
        """Where its restored partitions stand."""
        partitions = (self.status or {}).get("partitions", ())
        return {Place(one["topic"], one["partition"]): one["position"] for one in partitions if one["open"]}


def ask(workers: Sequence[WorkerAnnouncement], settings: Settings) -> list[Asked]:
    """Return what every announced worker says of itself."""
    return [_ask(worker, settings.http.api_token.reveal()) for worker in workers]


def _ask(worker: WorkerAnnouncement, token: str) -> Asked:
    if not worker.url.startswith(("http://", "https://")):
        return Asked(worker.instance, worker.url, None, "has announced no address of HTTP")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(f"{worker.url.rstrip('/')}/v1/status", headers=headers)  # noqa: S310  # checked above
    before = time.time()
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=_TIMEOUT_S) as answer:
            status = json.loads(answer.read())
            ahead = _ahead(answer.headers.get("Date"), before, time.time())
            return Asked(worker.instance, worker.url, status, ahead_s=ahead)
    except HTTPError as error:
        refused = error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        trouble = "refuses the token" if refused else f"answers {error.code}"
    except (URLError, TimeoutError, ConnectionError) as error:
        trouble = f"does not answer ({getattr(error, 'reason', error)})"
    except ValueError:
        trouble = "answers no JSON"
    return Asked(worker.instance, worker.url, None, trouble)


def _ahead(date: str | None, before: float, after: float) -> float:
    """Return by how much a clock that shows whole seconds is certainly ahead (or, negative, behind).

    >>> [_ahead("Sun, 01 Mar 2026 10:15:00 GMT", t, t) for t in (1772360100.7, 1772360090.0, 1772360110.0)]
    [0.0, 10.0, -9.0]
    """
    try:
        shown = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return 0.0
    return max(0.0, shown - after) + min(0.0, shown + _SECOND_S - before)
