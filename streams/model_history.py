"""The models that can still be had, and the pin that makes every scorer use one of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from online_models.churn.scorer import ChurnScorer
from online_models.errors import CorruptStateError, KeepstreamError
from online_models.items.network import FrozenRanker
from streams.agents.documents import RANKER
from streams.cluster import Cluster
from streams.encode import encode_snapshot, read_snapshot
from streams.errors import TopicsError
from streams.excerpt import excerpt
from streams.model_rows import parse, pin_key
from streams.schemas import ModelSnapshot
from streams.settings import Settings
from streams.topics import MODELS
from streams.writer import Writer

REASON: Final = "pin.reason"
PINNED_AT: Final = "pin.time"


class UnknownModelError(KeepstreamError):
    """No such version of a model can be had any more."""


@dataclass(frozen=True)
class Pin:
    """A model that scorers are told to use.

    Parameters
    ----------
    snapshot
        The model.
    at_ms
        Since when, epoch milliseconds.
    reason
        What the operator said.
    """

    snapshot: ModelSnapshot
    at_ms: int
    reason: str


class ModelHistory:
    """What the models topic holds of one model, read once.

    Parameters
    ----------
    settings
        Where the broker is.
    model
        Name of the model.

    Raises
    ------
    TopicsError
        If the broker has no such topic.
    BrokerUnavailableError
        If it could not be read.
    """

    def __init__(self, settings: Settings, model: str = "churn") -> None:
        self._settings, self._model = settings, model
        self._topic = MODELS.full_name(settings)
        self.newest: ModelSnapshot | None = None
        self.pin: Pin | None = None
        self._snapshots: dict[str, ModelSnapshot] = {}
        with Cluster(settings) as cluster:
            places = list(cluster.copies([self._topic]))
            if not places:
                raise TopicsError(
                    f"the broker has no topic {self._topic}; `keepstream topics create` makes it"
                )
            stretches = cluster.stretches(places)
        for record in excerpt(settings, stretches):
            self._take(record.key or b"", record.value, dict(record.headers))

    @property
    def snapshots(self) -> Sequence[ModelSnapshot]:
        """Every version that can be had, the newest first."""
        return sorted(self._snapshots.values(), key=lambda one: _number(one.model_version), reverse=True)

    @property
    def used(self) -> ModelSnapshot | None:
        """The version that users are scored with; None before the first."""
        return self.pin.snapshot if self.pin else self.newest

    def find(self, version: str | None) -> ModelSnapshot:
        """Return a version; None stands for the one in use.

        Raises
        ------
        UnknownModelError
            If it cannot be had; the message says which can.
        """
        found = self.used if version is None else self._snapshots.get(version)
        if found is None and version is None:
            raise UnknownModelError("there is no model yet: it needs labels, which mature after the horizon")
        if found is None:
            known = ", ".join(one.model_version for one in self.snapshots[:5]) or "none"
            raise UnknownModelError(
                f"no version {version!r} is left; there are {known}, see `keepstream model list`"
            )
        return found

    def roll_back(self, version: str, reason: str) -> ModelSnapshot:
        """Make every scorer use a version until it is released, and return it.

        Raises
        ------
        UnknownModelError
            If it cannot be had, or cannot be scored with.
        BrokerUnavailableError
            If the broker did not take the pin.
        """
        snapshot = self.find(version)
        try:
            ready = _ready(snapshot)
        except (CorruptStateError, KeyError, TypeError, ValueError) as error:
            raise UnknownModelError(f"{version} cannot be scored with: {error}") from error
        if not ready:
            raise UnknownModelError(f"{version} had seen too few labels to score with")
        self._write(encode_snapshot(snapshot)[1], reason)
        return snapshot

    def release(self) -> None:
        """Let scorers use the newest version again.

        Raises
        ------
        BrokerUnavailableError
            If the broker did not take it.
        """
        self._write(None, "")

    def _take(self, key: bytes, value: bytes | None, headers: dict[str, bytes | None]) -> None:
        row = parse(key)
        if row is None or row.model != self._model:
            return
        if value is None:
            self.pin = None if row.kind == "pin" else self.pin
            return
        try:
            snapshot = read_snapshot(value)
        except CorruptStateError:
            return
        self._snapshots[snapshot.model_version] = snapshot
        if row.kind == "newest":
            self.newest = snapshot
        elif row.kind == "pin":
            said = {name: (text or b"").decode(errors="replace") for name, text in headers.items()}
            at = said.get(PINNED_AT, "")
            self.pin = Pin(snapshot, int(at) if at.isdecimal() else 0, said.get(REASON, ""))

    def _write(self, value: bytes | None, reason: str) -> None:
        headers = {PINNED_AT: b"%d" % (time.time_ns() // 1_000_000), REASON: reason.encode()}
        writer = Writer(self._settings)
        writer.put(self._topic, pin_key(self._model), value, headers=headers)
        writer.finish()


def _ready(snapshot: ModelSnapshot) -> bool:
    """Load a model as a worker would, and return whether it may be used."""
    if snapshot.model == RANKER:
        FrozenRanker.from_snapshot(snapshot.state["ranker"])
        return True
    return ChurnScorer.from_snapshot(snapshot.state["scorer"]).ready


def _number(version: str) -> tuple[int, str]:
    tail = version.rpartition("-")[2]
    return (int(tail) if tail.isdecimal() else -1, version)
