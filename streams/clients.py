"""Configurations of the three Kafka clients from one broker section, and the wait for a broker at start.

Faust reads through aiokafka, the engine writes through confluent-kafka (librdkafka), and tools use
kafka-python's admin client; all of them get address, TLS and SASL from here.
"""

import dataclasses
import logging
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from streams.errors import BrokerUnavailableError
from streams.settings import Settings, milliseconds
from streams.settings.sections import Broker

DEFAULT_BOOTSTRAP: Final = "127.0.0.1:9092"
"""Where `keepstream broker` listens, and where commands look when no address is set."""

_ATTEMPT_SECONDS: Final = 1.0
_SAY_EVERY_SECONDS: Final = 10.0


def require(settings: Settings) -> Settings:
    """Return the settings with the address of the local broker where none is set.

    >>> require(Settings()).broker.bootstrap_servers
    '127.0.0.1:9092'
    """
    if settings.broker.bootstrap_servers:
        return settings
    broker = dataclasses.replace(settings.broker, bootstrap_servers=DEFAULT_BOOTSTRAP)
    return dataclasses.replace(settings, broker=broker)


def confluent(broker: Broker, **extra: Any) -> dict[str, Any]:
    """Return a confluent-kafka configuration; `extra` entries (``**{"group.id": "x"}``) win.

    >>> sorted(confluent(Broker(bootstrap_servers="a:1"), **{"group.id": "g"}))
    ['bootstrap.servers', 'group.id', 'logger', 'security.protocol']
    """
    config: dict[str, Any] = {
        "bootstrap.servers": broker.bootstrap_servers,
        "security.protocol": broker.security_protocol,
        # Else librdkafka prints every failed connection attempt to standard error.
        "logger": logging.getLogger("librdkafka"),
    }
    if _has_sasl(broker):
        config["sasl.mechanism"] = broker.sasl_mechanism
        config["sasl.username"] = broker.sasl_username
        config["sasl.password"] = broker.sasl_password.reveal()
    if _has_tls(broker):
        config["ssl.ca.location"] = broker.ssl_cafile and str(broker.ssl_cafile)
        config["ssl.certificate.location"] = broker.ssl_certfile and str(broker.ssl_certfile)
        config["ssl.key.location"] = broker.ssl_keyfile and str(broker.ssl_keyfile)
        config["ssl.key.password"] = broker.ssl_key_password.reveal() or None
    return {name: value for name, value in config.items() if value is not None} | extra


def kafka_python(broker: Broker, **extra: Any) -> dict[str, Any]:
    """Return keyword arguments of kafka-python's clients; `extra` entries win.

    >>> kafka_python(Broker(bootstrap_servers="a:1,b:2"))
    {'bootstrap_servers': ['a:1', 'b:2'], 'security_protocol': 'PLAINTEXT'}
    """
    config: dict[str, Any] = {
        "bootstrap_servers": _addresses(broker),
        "security_protocol": broker.security_protocol,
    }
    if _has_sasl(broker):
        config["sasl_mechanism"] = broker.sasl_mechanism
        config["sasl_plain_username"] = broker.sasl_username
        config["sasl_plain_password"] = broker.sasl_password.reveal()
    if _has_tls(broker):
        config["ssl_context"] = ssl_context(broker)
    return config | extra


def faust_url(broker: Broker) -> str:
    """Return the broker URL as Faust wants it.

    >>> faust_url(Broker(bootstrap_servers="a:1, b:2"))
    'kafka://a:1;kafka://b:2'
    """
    return ";".join(f"kafka://{address}" for address in _addresses(broker))


def faust_credentials(broker: Broker) -> Any:
    """Return Faust's credentials object, None for a plain connection."""
    from faust.auth import SASLCredentials, SSLCredentials  # noqa: PLC0415  # slow to import

    if _has_sasl(broker):
        return SASLCredentials(
            username=broker.sasl_username,
            password=broker.sasl_password.reveal(),
            mechanism=broker.sasl_mechanism,
            ssl_context=ssl_context(broker) if _has_tls(broker) else None,
        )
    return SSLCredentials(context=ssl_context(broker)) if _has_tls(broker) else None


def ssl_context(broker: Broker) -> ssl.SSLContext:
    """Return the TLS context: the broker's certificate is verified, its host name too.

    Raises
    ------
    BrokerUnavailableError
        If a certificate file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=broker.ssl_cafile)
        if broker.ssl_certfile:
            password = broker.ssl_key_password.reveal() or None
            context.load_cert_chain(broker.ssl_certfile, broker.ssl_keyfile, password)
    except (OSError, ssl.SSLError) as error:
        raise BrokerUnavailableError(
            f"cannot use the certificates ssl_cafile={broker.ssl_cafile}, "
            f"ssl_certfile={broker.ssl_certfile}, ssl_keyfile={broker.ssl_keyfile}: {error}"
        ) from error
    return context


def wait_for_broker(
    broker: Broker, deadline: "timedelta | None" = None, say: Callable[[str], None] = print
) -> None:
    """Return as soon as a broker answers a metadata request and its advertised address can be reached.

    Parameters
    ----------
    broker
        Where it should be.
    deadline
        How long to wait; None takes `broker_wait`.
    say
        Told what is waited for, at once when the broker does not answer and every ten seconds after that.

    Raises
    ------
    BrokerUnavailableError
        If none answered before the deadline, or if it refuses the credentials, which no waiting cures.
    """
    limit = milliseconds(broker.broker_wait if deadline is None else deadline) / 1000
    probe = _Probe(broker)
    started = time.monotonic()
    said = -_SAY_EVERY_SECONDS
    while not probe.answers():
        waited = time.monotonic() - started
        if waited - said >= _SAY_EVERY_SECONDS:
            said = waited
            say(f"waiting for Kafka at {broker.bootstrap_servers}, up to {limit:.0f} s")
        if waited >= limit:
            raise BrokerUnavailableError(
                f"no Kafka answered at {broker.bootstrap_servers} within {waited:.0f} s{probe.reason()}; "
                "start one with `keepstream broker`, or set KEEPSTREAM_BOOTSTRAP_SERVERS to yours"
            )


class _Probe:
    """Asks a broker for its metadata and tries the address it gives."""

    def __init__(self, broker: Broker) -> None:
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415  # loads librdkafka

        self._broker = broker
        self._errors: dict[int, str] = {}
        quick = {"reconnect.backoff.max.ms": 500, "log_level": 0, "error_cb": self._note}
        self._admin = AdminClient(confluent(broker, **quick))

    def _note(self, error: Any) -> None:
        self._errors.pop(error.code(), None)
        self._errors[error.code()] = error.str()

    def reason(self) -> str:
        """Return why it did not answer, in brackets, if that is known."""
        return f" ({list(self._errors.values())[-1]})" if self._errors else ""

    def answers(self) -> bool:
        """Return whether it answered; credentials that are refused raise."""
        from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415  # loads librdkafka

        try:
            metadata = self._admin.list_topics(timeout=_ATTEMPT_SECONDS)
        except KafkaException as error:
            if not self._admin.poll(0):
                self._errors.setdefault(error.args[0].code(), error.args[0].str())
            refused = (KafkaError._AUTHENTICATION, KafkaError._SSL)  # noqa: SLF001  # so named
            for hopeless in refused:
                if hopeless in self._errors:
                    raise BrokerUnavailableError(
                        f"the broker at {self._broker.bootstrap_servers} refuses the connection: "
                        f"{self._errors[hopeless]}; check security_protocol, sasl_* and ssl_* settings"
                    ) from error
            return False
        return self._reachable([(str(node.host), node.port) for node in metadata.brokers.values()])

    def _reachable(self, advertised: list[tuple[str, int]]) -> bool:
        for address in advertised:
            with suppress(OSError), socket.create_connection(address, timeout=_ATTEMPT_SECONDS):
                return True
        named = ", ".join(f"{host}:{port}" for host, port in advertised) or "nothing"
        self._errors = {
            0: f"it answers but calls itself {named}, which cannot be reached from here: "
            "advertised.listeners must name an address that clients can reach"
        }
        return False


def _addresses(broker: Broker) -> list[str]:
    return [address.strip() for address in broker.bootstrap_servers.split(",") if address.strip()]


def _has_sasl(broker: Broker) -> bool:
    return broker.security_protocol.startswith("SASL")


def _has_tls(broker: Broker) -> bool:
    return broker.security_protocol.endswith("SSL")
