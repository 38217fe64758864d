"""Asking the workers over HTTP, for `keepstream user` and `keepstream item`."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from online_models.errors import KeepstreamError
from streams.pseudonyms import is_pseudonym
from streams.settings import Settings

_TIMEOUT_S: Final = 10.0


class LookupFailedError(KeepstreamError):
    """Nothing is known, or nobody could be asked."""


def ask(path: str, settings: Settings, url: str | None) -> dict[str, Any]:
    """Return a worker's answer.

    Parameters
    ----------
    path
        What to ask for, encoded.
    settings
        Where the broker is, for finding workers, and the token to show them.
    url
        A worker to ask; None finds one through the topic of workers.

    Raises
    ------
    LookupFailedError
        If the worker does not know, or no worker answers; the message says which.
    """
    tried = []
    for base in [url] if url else _announced(settings):
        try:
            return _get(base.rstrip("/") + path, settings.http.api_token.reveal())
        except (URLError, TimeoutError, ConnectionError) as error:
            tried.append(f"{base}: {getattr(error, 'reason', error)}")
    if not tried:
        raise LookupFailedError(
            f"no worker has announced itself at {settings.broker.bootstrap_servers}; "
            "start one with `keepstream worker`, or name one with --url"
        )
    raise LookupFailedError("no worker answers; tried " + ", ".join(tried))


def subject_of(subject: str, settings: Settings) -> str:
    """Return the subject under which a user is known: with a pseudonym where the settings hold the key."""
    pseudonyms = settings.privacy.pseudonyms
    return subject if pseudonyms is None or is_pseudonym(subject[2:]) else pseudonyms.subject(subject)


def _announced(settings: Settings) -> Sequence[str]:
    from streams import clients
    from streams.announce import read_workers

    settings = clients.require(settings)
    clients.wait_for_broker(settings.broker, say=lambda _: None)
    return [worker.url for worker in read_workers(settings)]


def _get(url: str, token: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if not url.startswith(("http://", "https://")):
        raise LookupFailedError(f"--url must begin with http:// or https://, not {url!r}")
    opener = build_opener(ProxyHandler({}))  # workers are neighbours: no proxy lies between
    try:
        with opener.open(Request(url, headers=headers), timeout=_TIMEOUT_S) as answer:  # noqa: S310  # checked above
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except HTTPError as error:
        raise LookupFailedError(_reason(error)) from error
    except ValueError as error:
        raise LookupFailedError(f"{url} is no worker of Keepstream") from error


def _reason(error: HTTPError) -> str:
    try:
        said = json.loads(error.read())["error"]
    except (ValueError, KeyError, TypeError):
        return f"{error.url} answers {error.code}, which no worker of Keepstream would"
    if error.code == HTTPStatus.UNAUTHORIZED:
        return f"{said}: set KEEPSTREAM_API_TOKEN"
    return str(said)
