"""What the server sees of its worker: partitions by agent, readiness, and lookups in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from online_models.experiments.book import ExperimentBook
from streams.engine.membership import Membership
from streams.engine.partition import Partition
from streams.engine.settings import EngineSettings
from streams.metrics import Metrics
from streams.schemas import ModelSnapshot
from streams.settings import Settings
from streams.topics import EVENTS, EXAMPLES, ITEM_PAIRS, RANK_EXAMPLES


class _Runtime(Protocol):
    """What is asked of the engine."""

    def partitions(self) -> list[Partition]: ...
    @property
    def ready(self) -> bool: ...
    @property
    def membership(self) -> Membership | None: ...
    @property
    def settings(self) -> EngineSettings: ...


class _Broadcast(Protocol):
    """What is asked of the broadcast."""

    @property
    def ready(self) -> bool: ...
    @property
    def snapshot(self) -> ModelSnapshot | None: ...
    @property
    def newest(self) -> ModelSnapshot | None: ...
    @property
    def experiments(self) -> ExperimentBook: ...


class ApiWorker(Protocol):
    """A worker as the server needs it."""

    @property
    def runtime(self) -> _Runtime:
        """Its engine."""

    @property
    def broadcast(self) -> _Broadcast:
        """What it knows of the whole shop."""

    @property
    def settings(self) -> Settings:
        """Its settings, broker included."""

    @property
    def metrics(self) -> Metrics:
        """What it measures."""


def sources(settings: Settings) -> dict[str, str]:
    """Return the agent that reads each source topic.

    >>> sources(Settings())["clickstream.events.v1"]
    'users'
    """
    return {
        EVENTS.full_name(settings): "users",
        ITEM_PAIRS.full_name(settings): "items",
        EXAMPLES.full_name(settings): "trainer",
        RANK_EXAMPLES.full_name(settings): "ranker",
    }


@dataclass(frozen=True)
class Local:
    """The partitions of this worker, by agent.

    Parameters
    ----------
    worker
        Whose they are.
    """

    worker: ApiWorker

    @property
    def instance(self) -> str:
        """Name of the worker in its group."""
        return self.worker.runtime.settings.instance

    def held(self) -> list[tuple[str, Partition]]:
        """Return the partitions held now with the names of their agents, in order."""
        agents = sources(self.worker.settings)
        found = [(agents.get(p.source.topic, p.source.topic), p) for p in self.worker.runtime.partitions()]
        return sorted(found, key=lambda pair: (pair[0], pair[1].source.partition))

    def opened(self, agent: str) -> list[Partition]:
        """Return the restored partitions of an agent."""
        return [partition for name, partition in self.held() if name == agent and partition.opened]

    def owned(self) -> dict[str, list[int]]:
        """Return the numbers of the partitions held, by agent."""
        owned: dict[str, list[int]] = {}
        for agent, partition in self.held():
            owned.setdefault(agent, []).append(partition.source.partition)
        return owned

    def look_up(self, agent: str, key: str) -> dict[str, Any] | None:
        """Return what a handler knows of a key, with partition and offset; None where none does."""
        for partition in self.opened(agent):
            handler: Any = partition.handler
            found: Mapping[str, Any] | None = handler.lookup(key)
            if found is not None:
                place = {"partition": partition.source.partition, "offset": partition.position - 1}
                return {**found, **place}
        return None

    def missing(self) -> list[str]:
        """Return what this worker still waits for, in words; empty when it is ready."""
        runtime = self.worker.runtime
        found = []
        if runtime.membership is None:
            found.append("no partitions assigned yet")
        found += [
            f"{agent}[{p.source.partition}] is being restored" for agent, p in self.held() if not p.opened
        ]
        if not found and not runtime.ready:
            found.append("the group is rebalancing")
        if not self.worker.broadcast.ready:
            found.append("models and neighbours are being read")
        return found
