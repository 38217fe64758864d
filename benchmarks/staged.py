"""`keepstream worker` with clocks on its stages: ``python -m benchmarks.staged REPORT worker OPTIONS``.

SIGUSR2 writes the CPU seconds by stage since the start to REPORT. A stage within another counts for itself
alone.
"""

import functools
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streams.cli  # noqa: F401  # isort: skip  # sets up the process as it does for every command

from benchmarks.peers.meter import cpu_seconds
from online_models.churn.profile import UserStore
from streams.agents import documents
from streams.agents.broadcast import Broadcast
from streams.agents.items import ItemsHandler
from streams.agents.ranker import RankerHandler
from streams.agents.trainer import TrainerHandler
from streams.agents.users import UsersHandler
from streams.decode import Decoder
from streams.engine.checkpoint import Committer

STAGES: tuple[tuple[Any, str, str], ...] = (
    (Decoder, "decode", "decode and validate"),
    (UserStore, "apply", "users: state, checks, features, pairs"),
    (UsersHandler, "apply", "users: documents and the rest"),
    (UsersHandler, "_lists", "lists: candidates, ranking, policy"),
    (documents, "recommendations", "lists: documents"),
    (UsersHandler, "_rank_examples", "ranking examples"),
    (UsersHandler, "_judge_lists", "lists: judged by the next touch"),
    (UsersHandler, "_pairs", "pairs: packed by partition"),
    (UsersHandler, "dirty_rows", "rows for the changelog"),
    (ItemsHandler, "apply", "items: co-occurrence, neighbours"),
    (ItemsHandler, "dirty_rows", "rows for the changelog"),
    (TrainerHandler, "apply", "trainer: River and its challengers"),
    (RankerHandler, "apply", "ranker: one step a set"),
    (Broadcast, "take_neighbours", "broadcast: neighbours read"),
    (Broadcast, "take_models", "broadcast: models read"),
    (Committer, "commit", "checkpoint: produce and commit"),
)


class Stages:
    """CPU seconds of named stages, by threads' own clocks."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open = threading.local()

    def watch(self, owner: Any, method: str, stage: str) -> None:
        """Let calls of a method count for a stage."""
        original: Callable[..., Any] = getattr(owner, method)

        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            inner = self._open.__dict__.setdefault("inner", [0.0])
            inner.append(0.0)
            began = time.thread_time()
            try:
                return original(*args, **kwargs)
            finally:
                spent = time.thread_time() - began
                self.seconds[stage] = self.seconds.get(stage, 0.0) + spent - inner.pop()
                inner[-1] += spent

        setattr(owner, method, timed)


def main() -> None:
    """Run the worker, watched."""
    report = Path(sys.argv[1])
    stages = Stages()
    for owner, method, stage in STAGES:
        stages.watch(owner, method, stage)

    def write(*_: object) -> None:
        draft = report.with_suffix(".draft")
        draft.write_text(json.dumps({"cpu": cpu_seconds(), "stages": dict(stages.seconds)}))
        draft.rename(report)

    signal.signal(signal.SIGUSR2, write)
    sys.argv[1:2] = []
    from streams.cli import main as command  # noqa: PLC0415  # after the stages are watched

    command()


if __name__ == "__main__":
    main()
