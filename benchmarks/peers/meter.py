"""What a peer is asked to do, and its meter: CPU of its process from one event of the log to another."""

import argparse
import json
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.job import Neighbours, Row, Update, Users, document

_LOOK_EVERY = 16


@dataclass(frozen=True)
class Task:
    """Where a peer reads and writes, and from which event to which it is measured."""

    bootstrap: str
    source: str
    lists: str
    pairs: str
    report: Path
    directory: Path
    warm: int
    events: int
    seconds: float

    @classmethod
    def parse(cls) -> "Task":
        """Read the command line that `benchmarks.throughput` writes."""
        parser = argparse.ArgumentParser()
        for name, kind in cls.__annotations__.items():
            parser.add_argument(f"--{name}", type=kind, required=True)
        return cls(**vars(parser.parse_args()))


class Measured:
    """The job of one process, with a meter: frameworks call `user` and `item`.

    It ends at the last event, once every update of an item has been counted, or when time is up.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.users, self.neighbours = Users(), Neighbours()
        self.user_rows: dict[str, Row] = {}
        self.item_rows: dict[str, Row] = {}
        self.seen = self.sent = self.counted = 0
        self.done = False
        self._began = (0.0, 0.0)

    def user(self, key: str, row: Row | None, event: Row) -> tuple[Row, dict[str, list[Update]], list[Row]]:
        """Take an event: return the user's row, updates by item, and the documents to publish."""
        row, updates, score = self.users.step(row, event)
        self.user_rows[key] = row
        self.seen += 1
        self.sent += len(updates)
        found = []
        if score is not None:
            found.append({"id": event["event_id"], "subject": key, "probability": score})
        if updates:
            found.append(document(key, event, self.neighbours.recommend(row["recent"])))
        if self.seen == self.task.warm:
            self._began = (cpu_seconds(), time.monotonic())
        elif not self.seen % _LOOK_EVERY or self.seen >= self.task.events:
            self._look()
        return row, updates, found

    def item(self, item: str, row: Row | None, updates: list[Update]) -> Row:
        """Take the updates of an item and return its row."""
        self.item_rows[item] = row = self.neighbours.count(item, row, updates)
        self.counted += 1
        if self.seen >= self.task.events:
            self._look()
        return row

    def _look(self) -> None:
        whole = self.seen >= self.task.events and self.counted >= self.sent
        late = self.seen > self.task.warm and time.monotonic() - self._began[1] > self.task.seconds
        if not self.done and (whole or late):
            self.done = True
            write_report(
                self.task.report,
                {
                    "events": self.seen - self.task.warm,
                    "share": self.counted / max(1, self.sent),
                    "cpu": cpu_seconds() - self._began[0],
                    "seconds": time.monotonic() - self._began[1],
                    "whole": whole,
                    "users": {key: row["counts"] for key, row in self.user_rows.items()},
                    "items": {item: row["touches"] for item, row in self.item_rows.items()},
                    "learned": self.users.learned,
                    "scored": self.users.scored,
                    "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                },
            )


def cpu_seconds() -> float:
    """Return the CPU time of this process, all its threads, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write a report so that it appears whole."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(report))
    draft.rename(path)
