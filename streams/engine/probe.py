"""Tries a broker's transactions at start, instead of trusting its name."""

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.engine.membership import Membership
from streams.errors import BrokerUnavailableError, EngineError

log = logging.getLogger(__name__)

_CALL_S: Final = 10.0
_REFUSALS: Final = frozenset(
    {KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.FENCED_INSTANCE_ID}
)


@dataclass(frozen=True)
class Probe:
    """What a broker was seen to do.

    Parameters
    ----------
    hides_aborted
        A read-committed reader sees committed records only.
    refuses_strangers
        Offsets of a generation that the group does not know are refused (KIP-447).
    forgets_aborted
        Who reads on behind an aborted transaction sees what its producer wrote since.
    """

    hides_aborted: bool
    refuses_strangers: bool
    forgets_aborted: bool

    @property
    def workers(self) -> str:
        """How far the promise of exactly once reaches on this broker."""
        if self.hides_aborted and self.refuses_strangers:
            return "any number of workers"
        return "one worker" if self.hides_aborted else "no exactly-once promise"


def probe(config: Mapping[str, Any], topic: str, group: str, *, deadline_s: float = 60.0) -> Probe:
    """Write one aborted and one committed record, read both back, and commit under a foreign generation.

    Parameters
    ----------
    config
        confluent-kafka settings that reach the broker.
    topic
        A topic with one partition whose records nobody needs.
    group
        A consumer group nobody uses.
    deadline_s
        How long to wait for a broker whose transaction coordinator is not ready yet, seconds.

    Raises
    ------
    BrokerUnavailableError
        The broker did not answer in time.
    """
    until = time.monotonic() + deadline_s
    token = uuid.uuid4().hex.encode()
    while True:
        try:
            aborted, committed = _write(config, topic, token)
            return Probe(
                hides_aborted=_read(config, topic, aborted, token) == [b"committed"],
                refuses_strangers=_refuses_strangers(config, topic, group),
                forgets_aborted=_read(config, topic, committed, token) == [b"committed"],
            )
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if time.monotonic() > until:
                raise BrokerUnavailableError(
                    f"the broker's transactions could not be tried: {reason}"
                ) from error
            log.info("broker not ready for transactions yet: %s", reason)
            time.sleep(0.5)  # a poll of somebody else's start: nothing here could signal it


def check_alone(config: Mapping[str, Any], group: str, instance: str) -> None:
    """Refuse to be the second worker of a group; for brokers that fence only one.

    Parameters
    ----------
    config
        confluent-kafka settings that reach the broker.
    group, instance
        The group to join, and our name in it.

    Raises
    ------
    EngineError
        Another instance is a member.
    """
    admin = AdminClient(dict(config))  # must outlive its answer
    described = admin.describe_consumer_groups([group], request_timeout=_CALL_S)
    try:
        members = described[group].result(_CALL_S).members
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return
        raise BrokerUnavailableError(f"group {group} cannot be described: {error.args[0]}") from error
    others = sorted({m.group_instance_id or m.member_id for m in members} - {instance})
    if others:
        raise EngineError(
            f"this broker keeps the exactly-once promise for one worker only, and {', '.join(others)} is a "
            f"member of group {group!r} already. Stop it first, use Apache Kafka for several workers, or, if "
            f"it is long dead, start this one as --instance {others[0]}"
        )


def _producer(config: Mapping[str, Any]) -> Producer:
    producer = Producer(
        {
            **config,
            "transactional.id": f"keepstream-probe-{uuid.uuid4().hex}",
            "transaction.timeout.ms": 10_000,
        }
    )
    producer.init_transactions(_CALL_S)
    return producer


def _write(config: Mapping[str, Any], topic: str, token: bytes) -> tuple[int, int]:
    """Write an aborted and then a committed record; return their offsets."""
    producer = _producer(config)
    offsets: list[int] = []

    def delivered(_: KafkaError | None, message: Message) -> None:
        offsets.append(int(message.offset() or 0))

    producer.begin_transaction()
    producer.produce(topic, b"aborted", token, 0, on_delivery=delivered)
    if producer.flush(_CALL_S):
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "flush"))  # noqa: SLF001  # librdkafka's name
    producer.abort_transaction(_CALL_S)
    producer.begin_transaction()
    producer.produce(topic, b"committed", token, 0, on_delivery=delivered)
    producer.commit_transaction(_CALL_S)
    aborted, committed = offsets
    return aborted, committed


def _read(config: Mapping[str, Any], topic: str, offset: int, token: bytes) -> list[bytes | None]:
    """Return what a read-committed reader sees of the two records."""
    consumer = Consumer(
        {
            **config,
            "group.id": "keepstream-probe-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    seen: list[bytes | None] = []
    try:
        end = consumer.get_watermark_offsets(TopicPartition(topic, 0), _CALL_S)[1]
        consumer.assign([TopicPartition(topic, 0, offset)])
        until = time.monotonic() + _CALL_S
        while time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is None:
                if message.key() == token:
                    seen.append(message.value())
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name
                raise KafkaException(error)
            elif int(message.offset() or 0) >= end:
                break
    finally:
        consumer.close()
    return seen


def _refuses_strangers(config: Mapping[str, Any], topic: str, group: str) -> bool:
    producer = _producer(config)
    stranger = Membership(group, None, 999, "stranger").to_bytes()
    producer.begin_transaction()
    producer.produce(topic, b"stranger", b"", 0)
    try:
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], stranger, _CALL_S)
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        if reason.code() not in _REFUSALS:
            raise
        return True
    else:
        return False
    finally:
        producer.abort_transaction(_CALL_S)
