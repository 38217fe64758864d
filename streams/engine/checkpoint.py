"""One Kafka transaction per checkpoint: outputs, state rows, positions and group-fenced source offsets."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.engine.handler import Output, Row
from streams.engine.membership import Membership
from streams.engine.observer import Observer
from streams.engine.partition import TopicPartition as Source
from streams.engine.restore import POSITION_KEY, encode_position
from streams.engine.transactional_id import TransactionalId
from streams.errors import CommitError, FencedError

log = logging.getLogger(__name__)

T = TypeVar("T")

_GROUP_FENCED: Final = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_PERMANENT: Final = _TOO_LARGE | frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001  # librdkafka's name for it
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._AUTHENTICATION,  # noqa: SLF001
    }
)
MAX_RECORD_BYTES: Final = 8 * 2**20
"""Largest record the engine sends; the topics set their own bounds below it."""

_BATCH_BYTES: Final = 1_000_000
_SHRINK: Final = 32
_CALL_S: Final = 10.0
_SAY_EVERY_S: Final = 5.0
_BACKOFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)


class Work(NamedTuple):
    """What one partition puts into a transaction; encoded before the attempt, so a retry commits the same.

    Parameters
    ----------
    source
        Partition whose position moves to `position`.
    changelog
        Topic of its rows and of its position row.
    outputs, rows
        Records to produce and rows to write.
    position
        Offset behind the last applied record.
    """

    source: Source
    changelog: str
    outputs: Sequence[Output]
    rows: Sequence[Row]
    position: int


class ClashError(FencedError):
    """Another process uses the same instance name."""


class Committer:
    """Owns the transactional producer of a worker; every method blocks and is called by one thread at a time.

    Parameters
    ----------
    config
        confluent-kafka settings that reach the broker.
    transactional_id
        Under which name transactions are written.
    transaction_timeout_s
        After this the broker aborts a transaction that its owner does not finish.
    deadline_s
        How long a commit is tried before the worker gives up.
    attempts
        How often the same work is tried again after an abort.
    observer
        Told of commits, aborts and fencing.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        transactional_id: TransactionalId,
        *,
        transaction_timeout_s: float = 10.0,
        deadline_s: float = 120.0,
        attempts: int = 10,
        observer: Observer | None = None,
    ) -> None:
        timeout_ms = int(transaction_timeout_s * 1000)
        self._config: dict[str, str | int | bool | object] = {
            **config,
            "transaction.timeout.ms": timeout_ms,
            "message.timeout.ms": timeout_ms,
            "partitioner": "murmur2_random",
            "compression.type": "zstd",
            # Higher levels cost several times the CPU on batches of this size, for a tenth fewer bytes.
            "compression.level": 1,
            "linger.ms": 2,
            "batch.size": _BATCH_BYTES,
            "message.max.bytes": MAX_RECORD_BYTES,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
            "delivery.report.only.error": True,
            "on_delivery": self._on_delivery_error,
            "error_cb": self._on_error,
        }
        self.transactional_id = transactional_id
        self._deadline_s, self._transaction_timeout_s = deadline_s, transaction_timeout_s
        self._attempts = attempts
        self._observer = observer or Observer()
        self._producer: Producer | None = None
        self._failed_record = ""
        self._failure: KafkaError | None = None
        self._calling_since: float | None = None
        self._abandoned = False

    @property
    def is_open(self) -> bool:
        """Whether a producer stands ready."""
        return self._producer is not None

    @property
    def call_s(self) -> float:
        """How long the client has been in one call, seconds; may be asked from another thread."""
        since = self._calling_since
        return 0.0 if since is None else time.monotonic() - since

    def abandon(self) -> None:
        """Let nothing follow the call that is under way, from another thread, if it should ever return.

        A successor under the same transactional id settles what became of the transaction.
        """
        self._abandoned = True

    def open(self) -> None:
        """Start the producer, ending whatever a former holder of the transactional id left open.

        Raises
        ------
        FencedError
            A newer holder of the transactional id has taken over meanwhile.
        CommitError
            The broker refuses the producer for good, or does not answer before the deadline.
        """
        if self._producer is not None:
            return
        names, until = self.transactional_id.next(), self._until()
        if names.left is not None:
            left = Producer({**self._config, "transactional.id": names.left})
            self._retry(lambda: left.init_transactions(_CALL_S), until, "init_transactions")
        producer = Producer({**self._config, "transactional.id": names.own})
        self._retry(lambda: producer.init_transactions(_CALL_S), until, "init_transactions")
        if self._abandoned:
            raise FencedError("the producer was given up while it was started")
        self._producer = producer

    def close(self) -> None:
        """Give the producer up; an open transaction is left to the next holder of the id."""
        self._calling_since = time.monotonic()  # the client waits for its threads
        self._producer = None
        self._calling_since = None

    def commit(self, work: Sequence[Work], membership: Membership) -> None:
        """Commit `work` in one transaction, or raise with the outcome known to be "not committed" or fenced.

        Work that the broker does not take in time goes on in smaller transactions, of some partitions each:
        every partition's rows, outputs and position still stand or fall together.

        Raises
        ------
        FencedError
            The membership or the producer is no longer valid. Whether the transaction took place is settled
            by the next `open`.
        CommitError
            It cannot succeed as it is.
        """
        if not membership.may_commit:
            raise FencedError(f"no valid membership: {membership}")
        began, until = time.monotonic(), self._until()
        parts = [list(work)]
        aborts = 0
        while parts:
            self.open()
            try:
                self._attempt(parts[0], membership, until)
            except SystemError as error:
                # confluent-kafka raises a fatal error amid the delivery callbacks of the same poll.
                self.close()
                raise FencedError(f"the producer has failed: {error.__cause__ or error}") from error
            except KafkaException as error:
                self._give_up_or_abort(error, until)
                aborts += 1
                reason: KafkaError = error.args[0]
                self._observer.aborted(_name(reason))
                log.warning("transaction aborted, %d of %d times: %s", aborts, self._attempts, reason)
                if aborts >= self._attempts:
                    raise CommitError(
                        f"a transaction was aborted {aborts} times in a row, last: {self._failure or reason}"
                    ) from error
                if reason.code() == KafkaError._TIMED_OUT and len(parts[0]) > 1:  # noqa: SLF001  # its name
                    half = len(parts[0]) // 2
                    parts[:1] = [parts[0][:half], parts[0][half:]]
                continue
            self._report(parts.pop(0), time.monotonic() - began)

    def _report(self, work: Sequence[Work], seconds: float) -> None:
        size = sum(len(o.value or b"") for w in work for o in w.outputs)
        size += sum(len(v or b"") for w in work for _, v in w.rows)
        rows, outputs = sum(len(w.rows) for w in work), sum(len(w.outputs) for w in work)
        self._observer.committed(seconds, len(work), rows, outputs, size)
        log.debug(
            "checkpoint of %d partitions: %d rows, %d outputs in %.0f ms",
            *(len(work), rows, outputs, seconds * 1000),
            extra={"partitions": len(work), "rows": rows, "outputs": outputs, "seconds": round(seconds, 3)},
        )

    def _attempt(self, work: Sequence[Work], membership: Membership, until: float) -> None:
        producer = self._producer
        assert producer is not None
        self._failure, self._failed_record = None, ""
        producer.begin_transaction()
        for part in work:
            for output in part.outputs:
                self._produce(output)
            number = part.source.partition
            for key, value in part.rows:
                self._produce(Output(part.changelog, number, key, value))
            self._produce(Output(part.changelog, number, POSITION_KEY, encode_position(part.position)))
        # Rows must not reach the log after the generation was checked, hence the flush before the offsets.
        give_up = time.monotonic() + self._transaction_timeout_s
        while producer.flush(1.0) and self._failure is None:
            if time.monotonic() > give_up:
                # The broker has ended the transaction by now; records may wait for ever after its restart.
                raise KafkaException(
                    KafkaError(KafkaError._TIMED_OUT, "records were not taken", txn_requires_abort=True)  # noqa: SLF001
                )
        if self._failure is not None:
            raise KafkaException(self._failure)
        offsets = [TopicPartition(w.source.topic, w.source.partition, w.position) for w in work]
        metadata = membership.to_bytes()
        self._retry(
            lambda: producer.send_offsets_to_transaction(offsets, metadata, _CALL_S), until, "send_offsets"
        )
        self._retry(lambda: producer.commit_transaction(_CALL_S), until, "commit_transaction")

    def _produce(self, output: Output) -> None:
        producer = self._producer
        assert producer is not None
        while True:
            try:
                producer.produce(
                    output.topic,
                    output.value,
                    output.key,
                    -1 if output.partition is None else output.partition,
                    headers=list(output.headers) if output.headers else None,
                )
            except BufferError:
                producer.poll(0.05)
            except KafkaException as error:
                self._failed_record = f"topic {output.topic}, record of {len(output.value or b'')} bytes: "
                raise error from None
            else:
                return

    def _give_up_or_abort(self, error: KafkaException, until: float) -> None:
        """Return after an abort that lets the same work be tried again; else raise what it comes to."""
        reason: KafkaError = error.args[0]
        cause = self._failure or reason
        if reason.code() in _GROUP_FENCED or cause.code() in _GROUP_FENCED:
            self._abort_quietly()
            raise FencedError(f"the group has moved on: {reason}") from error
        if cause.code() == KafkaError.FENCED_INSTANCE_ID:
            self.close()
            raise ClashError(str(cause)) from error
        if cause.code() in _TOO_LARGE and self._smaller_batches():
            return
        if cause.code() in _PERMANENT:
            self._abort_quietly()
            raise CommitError(f"{self._failed_record}{cause}") from error
        if reason.fatal() or not (reason.txn_requires_abort() or reason is self._failure):
            self.close()
            raise FencedError(f"the producer is no longer valid: {reason}") from error
        producer = self._producer
        assert producer is not None
        try:
            self._retry(lambda: producer.abort_transaction(_CALL_S), until, "abort_transaction")
        except KafkaException as second:
            self.close()
            raise FencedError(f"the producer could not abort: {second.args[0]}") from second
        self._part_with_aborted()

    def _smaller_batches(self) -> bool:
        """Start anew with smaller batches where the topic may have refused a batch rather than a record."""
        size = int(str(self._config["batch.size"]))
        if size == 1 or self._failure is None:
            return False
        self._config["batch.size"] = max(1, size // _SHRINK)
        self._abort_quietly()
        self.close()
        return True

    def _abort_quietly(self) -> None:
        """Abort if the broker lets us; if not, the next `open` or the transaction timeout does."""
        if self._producer is None:
            return
        try:
            self._producer.abort_transaction(_CALL_S)
        except KafkaException as error:
            log.info("abort left to the broker: %s", error.args[0])
            self.close()
        self._part_with_aborted()

    def _part_with_aborted(self) -> None:
        """Let the next transaction have another name than the aborted one, where names change."""
        if self.transactional_id.changing:
            self.close()

    def _until(self) -> float:
        return time.monotonic() + self._deadline_s

    def _retry(self, call: Callable[[], T], until: float, what: str) -> T:
        """Repeat a transactional call while its error is retriable, with backoff, until the deadline."""
        tries, said = 0, 0.0
        while True:
            self._calling_since = time.monotonic()
            try:
                return call()
            except KafkaException as error:
                reason: KafkaError = error.args[0]
                if not reason.retriable():
                    if what == "init_transactions":
                        raise self._refused(reason) from error
                    raise
                if time.monotonic() > until:
                    raise CommitError(
                        f"{what} did not succeed within {self._deadline_s:.0f} s: {reason}"
                    ) from error
                if time.monotonic() > said + _SAY_EVERY_S:
                    said = time.monotonic()
                    log.warning("%s does not succeed yet, trying on: %s", what, reason)
            finally:
                self._calling_since = None
            time.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])
            tries += 1

    def _refused(self, reason: KafkaError) -> CommitError | FencedError:
        if reason.code() in _PERMANENT:
            return CommitError(f"transactional id {self.transactional_id.stable}: {reason}")
        return FencedError(f"transactional id {self.transactional_id.stable}: {reason}")

    @staticmethod
    def _on_error(error: KafkaError) -> None:
        log.info("broker connection: %s", error)

    def _on_delivery_error(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failure is None and error.code() not in _PURGED:
            self._failure = error
            self._failed_record = f"topic {message.topic()}, record of {len(message)} bytes: "


_PURGED: Final = frozenset(
    # What librdkafka reports for the rest of a batch once a transaction has failed; never the cause.
    {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}  # noqa: SLF001
)


def _name(error: KafkaError) -> str:
    return str(error.name())
