"""How the engine of a worker commits, and when it gives up."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EngineSettings:
    """How the engine commits and when it gives up; durations in seconds.

    Parameters
    ----------
    instance
        Name of this worker in its group; static membership and transactional id derive from it.
    transactional_id_file
        Where the worker keeps the last of its transactional ids, on a broker where they have to change.
    checkpoint_interval_s
        From the beginning of one transaction to the next; longer when a commit takes more than half of it.
    transaction_timeout_s, commit_deadline_s, restore_deadline_s, revoke_deadline_s, stop_deadline_s
        When the broker, a commit, a restore, a checkpoint at revocation and a stop are given up.
    call_deadline_s
        When one call of the Kafka client counts as hanging and the client is replaced.
    join_deadline_s, stall_deadline_s
        When a worker that the group does not admit, and a partition that does not move on though its log
        does, end the worker.
    max_pending_records, max_pending_bytes
        Applied records, and bytes of outputs, above which applying waits for the next checkpoint.
    accept_gap
        Go on where a log no longer holds the committed position.
    live_clock
        Advance partitions that have read to the end by the wall clock.
    """

    instance: str
    transactional_id_file: Path | None = None
    checkpoint_interval_s: float = 0.1
    transaction_timeout_s: float = 10.0
    commit_deadline_s: float = 120.0
    restore_deadline_s: float = 60.0
    revoke_deadline_s: float = 20.0
    stop_deadline_s: float = 15.0
    call_deadline_s: float = 30.0
    join_deadline_s: float = 180.0
    stall_deadline_s: float = 120.0
    max_pending_records: int = 50_000
    max_pending_bytes: int = 64 * 1024 * 1024
    accept_gap: bool = False
    live_clock: bool = False
