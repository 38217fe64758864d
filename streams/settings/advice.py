"""What is allowed by every single setting and yet unlikely to be meant: judged by looking at several."""

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from streams.settings.sections import Settings
from streams.settings.values import in_words


class Advice(NamedTuple):
    """A remark about settings; an error keeps a worker from starting.

    Parameters
    ----------
    names
        The settings that it is about.
    text
        What is odd, and what to do.
    error
        Whether it must be mended.
    """

    names: tuple[str, ...]
    text: str
    error: bool = False


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on can be reached from this machine only.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "shop-1")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def advise(settings: Settings) -> Iterator[Advice]:
    """Yield what is odd about settings as a whole.

    >>> [advice.names for advice in advise(Settings()) if advice.error]
    []
    """
    yield from _files(settings)
    yield from _broker(settings)
    yield from _times(settings)
    http = settings.http
    if not is_loopback(http.http_host) and not http.api_token:
        yield Advice(
            ("http_host", "api_token"),
            f"{http.http_host} can be reached from other machines and no token is set: lookups are off. "
            "Set KEEPSTREAM_API_TOKEN, or KEEPSTREAM_API_TOKEN_FILE",
        )


def _files(settings: Settings) -> Iterator[Advice]:
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        path: Path | None = getattr(settings.broker, name)
        if path is not None and not os.access(path, os.R_OK):
            yield Advice((name,), f"{path} cannot be read", error=True)
    directory = settings.engine.data_dir.absolute()
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        yield Advice(("data_dir",), f"{directory} cannot be written to", error=True)


def _broker(settings: Settings) -> Iterator[Advice]:
    broker, topics = settings.broker, settings.topics
    if broker.security_protocol == "SASL_PLAINTEXT" and broker.sasl_mechanism == "PLAIN":
        yield Advice(
            ("security_protocol", "sasl_mechanism"),
            "the password crosses the network readable for everyone; use SASL_SSL",
        )
    if broker.sasl_password and not broker.security_protocol.startswith("SASL"):
        yield Advice(
            ("sasl_password", "security_protocol"),
            "a password is set, and not used: security_protocol has no SASL",
        )
    if topics.replication_factor == 1 and len(broker.bootstrap_servers.split(",")) > 1:
        yield Advice(
            ("replication_factor",),
            "there are several brokers, and topics get one copy; 3 survive the loss of one",
        )


def _times(settings: Settings) -> Iterator[Advice]:
    events, churn, topics = settings.events, settings.churn, settings.topics
    if settings.clock.clock == "event" and settings.broker.bootstrap_servers:
        yield Advice(
            ("clock",),
            "only events move time on: fine for history. For a running shop set live, so that users who "
            "stopped coming are checked though no event arrives",
        )
    if events.dedupe_window < events.allowed_lateness:
        yield Advice(
            ("dedupe_window", "allowed_lateness"),
            f"an event may come {in_words(events.allowed_lateness)} late, and repeats are known for "
            f"{in_words(events.dedupe_window)} only: one that is sent twice may count twice",
        )
    if churn.hazard_step > churn.horizon:
        yield Advice(("hazard_step", "horizon"), "the short label would mature after the long one")
    if topics.internal_retention > topics.event_retention:
        yield Advice(
            ("internal_retention", "event_retention"),
            "item pairs and examples stay longer than the events that they came from",
        )
