"""The proof: one log processed undisturbed and under faults, and everything that is left compared."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from streams import topics
from streams.broker import EmbeddedBroker
from tests.chaos.compare import Verdict, compare, judge, same_readings
from tests.chaos.driver import Driver
from tests.chaos.events import ShopLog
from tests.chaos.faults import MAX_WORKERS, Fault
from tests.chaos.frozen import freeze
from tests.chaos.outcome import Outcome, Place, read_outcome
from tests.chaos.readers import Follower, by_kafka_python
from tests.chaos.shop import ShopRun, settings_of
from tests.chaos.wire import Wire
from tests.integration.kafka import KafkaServer

Say = Callable[[str], None]

_RATE = 1_000  # so that transactions are under way all the time


@dataclass
class Proof:
    """What came of it.

    Attributes
    ----------
    verdicts
        Every comparison.
    struck
        Faults by kind.
    ended
        Workers that ended by themselves, in words.
    lost_answers, refused
        What the wires did.
    outcomes
        What either run left behind.
    records, outputs
        Records of the log, and outputs under faults.
    seconds
        How long the faults and the work after them took.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    ended: list[str] = field(default_factory=list)
    lost_answers: int = 0
    refused: int = 0
    outcomes: tuple[Outcome, Outcome] | None = None
    records: int = 0
    outputs: int = 0
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether every comparison held."""
        return bool(self.verdicts) and all(verdict.holds for verdict in self.verdicts)

    def summary(self) -> str:
        """Return faults, figures and verdicts, in lines."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.struck.most_common())
        lines = [
            *map(str, self.verdicts),
            f"faults: {self.struck.total()} ({kinds})",
            f"records: {self.records:,}, outputs: {self.outputs:,}, {self.seconds:.0f} s under faults",
            f"answers lost: {self.lost_answers}, connections ended at a refused record: {self.refused}",
            f"workers that ended by themselves: {len(self.ended)}",
            *(f"  {text}" for text in self.ended),
        ]
        wrong = [verdict.what for verdict in self.verdicts if not verdict.holds]
        return "\n".join([*lines, f"DIFFERENT: {', '.join(wrong)}" if wrong else "everything is equal"])


@dataclass(frozen=True)
class Stage:
    """Where runs take place: a broker, and what may come between it and workers of these names."""

    bootstrap: str
    broker: KafkaServer | None
    wires: dict[str, Wire]
    names: Sequence[str]


@contextmanager
def on_kafka(directory: Path) -> Iterator[Stage]:
    """Yield Apache Kafka with a wire for each of several workers."""
    with ExitStack() as ends:
        server = KafkaServer(directory / "kafka")
        wires = {f"w{number}": Wire() for number in range(1, MAX_WORKERS + 1)}
        for name, wire in wires.items():
            wire.lead_to(server.add_listener(f"WIRE_{name.upper()}", "PLAINTEXT", wire.address))
            ends.callback(wire.close)
        ends.enter_context(server)
        yield Stage(server.bootstrap_servers, server, wires, list(wires))


@contextmanager
def on_embedded_broker(directory: Path) -> Iterator[Stage]:
    """Yield the embedded broker, for one worker."""
    with EmbeddedBroker(directory / "broker") as broker:
        yield Stage(broker.bootstrap_servers, None, {}, ["w1"])


def prove(stage: Stage, plan: Sequence[Fault], log: ShopLog, directory: Path, say: Say) -> Proof:
    """Process a log twice and compare.

    Parameters
    ----------
    stage
        Where.
    plan
        What is to happen during the second time.
    log
        What to process.
    directory
        For logs: `faults.jsonl`, and a directory with the logs of the workers for either run.
    say
        Told of progress.
    """
    frozen = directory / "frozen"
    freeze(log.records, settings_of("any", stage.bootstrap, directory), frozen)
    proof = Proof(records=len(log))
    say(f"{len(log):,} records; first undisturbed")
    run = ShopRun("undisturbed", stage.bootstrap, directory, log.records, frozen=frozen)
    undisturbed = _process_quietly(run, stage, say)
    proof.verdicts += _named("undisturbed", judge(undisturbed, log.truth, run.settings))
    say(f"now with {len(plan)} faults")
    run = ShopRun("disturbed", stage.bootstrap, directory, log.records, frozen=frozen, wires=stage.wires)
    try:
        disturbed, seen = _process_under_faults(run, stage, plan, proof, directory, say)
        proof.verdicts += _named("disturbed", judge(disturbed, log.truth, run.settings))
        proof.verdicts += compare(undisturbed, disturbed, run.settings)
        proof.verdicts += same_readings(disturbed, seen, "a reader during the faults")
        other = {topic.name: by_kafka_python(run, topic) for topic in (topics.RECOMMENDATIONS, topics.ALERTS)}
        proof.verdicts += same_readings(disturbed, other, "kafka-python")
        proof.outcomes, proof.outputs = (undisturbed, disturbed), disturbed.outputs
        if not proof.holds:
            say(run.report())
    finally:
        run.close()
    return proof


def _process_quietly(run: ShopRun, stage: Stage, say: Say) -> Outcome:
    try:
        run.feeder.allowed = len(run.log)
        run.feeder.start()
        run.workers.start(stage.names[0])
        ended = run.wait_until_done(say)
        assert not ended, f"workers ended by themselves: {ended}\n{run.report()}"
        run.stop()
        return read_outcome(run)
    finally:
        run.close()


def _process_under_faults(  # noqa: PLR0917  # what `prove` has at hand
    run: ShopRun, stage: Stage, plan: Sequence[Fault], proof: Proof, directory: Path, say: Say
) -> tuple[Outcome, dict[str, list[Place]]]:
    began = time.monotonic()
    follower = Follower(run)
    follower.start()
    driver = Driver(
        run, broker=stage.broker, wires=stage.wires, names=stage.names,
        log=directory / "faults.jsonl", say=say,
    )  # fmt: skip
    proof.struck, proof.ended = driver.struck, driver.ended
    run.feeder.rate = _RATE
    driver.go(plan)
    run.feeder.allowed = len(run.log)
    run.wait_until_done(say)
    run.stop()
    stops = f"{proof.struck['term'] + proof.struck['remove']} times"
    disobeyed = "; ".join([stops, *driver.disobeyed])
    proof.verdicts.append(Verdict("workers stop when they are asked to", not driver.disobeyed, disobeyed))
    proof.seconds = time.monotonic() - began
    proof.lost_answers = sum(wire.lost for wire in stage.wires.values())
    proof.refused = sum(wire.refused for wire in stage.wires.values())
    outcome = read_outcome(run)
    follower.finish(outcome.places)
    return outcome, follower.seen


def _named(run: str, verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
    for verdict in verdicts:
        yield verdict._replace(what=f"{run}: {verdict.what}")
