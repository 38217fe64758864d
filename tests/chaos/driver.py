"""Does a run harm as planned, keeps a supervisor's watch over its workers, and writes down what it did."""

import json
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.chaos import wire as apis
from tests.chaos.faults import Fault
from tests.chaos.shop import ShopRun
from tests.chaos.wire import Wire
from tests.integration.kafka import KafkaServer

AHEAD: Final = 2_500
"""Records that wait in the log when a fault strikes."""

_CALM_S: Final = 60
_STUCK_S: Final = 240
_ANSWERS: Final = (
    (apis.END_TRANSACTION,),
    (apis.END_TRANSACTION,),
    (apis.PRODUCE,),
    (apis.COMMIT_OFFSETS,),
    (apis.INIT_PRODUCER_ID, apis.ADD_PARTITIONS),
    (apis.JOIN_GROUP, apis.SYNC_GROUP),
)


class Driver:
    """Strikes as planned.

    Parameters
    ----------
    run
        What is harmed; its workers are started here.
    broker
        The broker, where faults strike it.
    wires
        The networks of the workers, by name, where faults strike them.
    names
        Names that workers may have.
    log
        File for a line a fault.
    say
        Told of every fault.
    """

    def __init__(
        self,
        run: ShopRun,
        *,
        broker: KafkaServer | None,
        wires: Mapping[str, Wire],
        names: Sequence[str],
        log: Path,
        say: Callable[[str], None],
    ) -> None:
        self.struck: Counter[str] = Counter()
        self.ended: list[str] = []
        """Workers that ended by themselves, in words."""
        self.disobeyed: list[str] = []
        """Workers that did not stop when they were asked to, in words."""
        self._run, self._broker, self._wires, self._names = run, broker, wires, names
        self._least = min(2, len(names))
        self._log, self._say = log, say
        self._background = ThreadPoolExecutor(16, "fault")
        self._under_way: list[Future[None]] = []
        self._restarts: list[Future[None]] = []
        self._wanted: set[str] = set()
        self._began = self._moved = self._last = time.monotonic()
        self._applied = self._applied_then = 0

    def go(self, plan: Sequence[Fault]) -> None:
        """Start the workers and strike them as planned; return when the last fault has passed."""
        self._began = self._moved = self._last = time.monotonic()
        for name in self._names[: self._least]:
            self._add(name)
        self._run.feeder.start()
        for fault in plan:
            self._wait_for(fault)
            self._strike(fault, len(plan))
        for work in self._under_way:
            work.result()
        self._supervise()

    def _wait_for(self, fault: Fault) -> None:
        """Return once the fault is due, or patience has ended."""
        while True:
            self._supervise()
            now = time.monotonic()
            applied = self._run.applied()
            if applied is not None and applied != self._applied:
                self._applied, self._moved = applied, now
            # Not beyond: the log must last for the faults still to come, however long a broker was away.
            self._run.feeder.allowed = fault.at + AHEAD
            if self._applied >= min(self._run.feeder.allowed, len(self._run.log)):
                self._moved = now  # there is nothing left to do
            calm = now > self._moved + _CALM_S  # nothing gets done: leave them alone for a while
            due = self._applied >= fault.at and self._applied > self._applied_then
            if due or (now > self._last + fault.patience_s and not calm):
                return
            assert now < self._moved + _STUCK_S, f"stuck before fault {fault.number}\n{self._run.report()}"
            time.sleep(0.02)

    def _supervise(self) -> None:
        """Start again what ended by itself, and pass on what failed in the background."""
        for work in [work for work in self._under_way if work.done()]:
            self._under_way.remove(work)
            work.result()
        restarting = any(not restart.done() for restart in self._restarts)
        assert self._broker is None or restarting or self._broker.is_running(), "the broker ended by itself"
        for name, code in self._run.workers.collect_ended().items():
            last = self._run.workers.tail(name, 3).replace("\n", " | ")
            self.ended.append(f"{time.monotonic() - self._began:.1f} s: {name} with {code}: {last}")
            self._say(f"ended by itself: {self.ended[-1]}")
            self._run.workers.start(name)

    def _strike(self, fault: Fault, of: int) -> None:
        kind, target, detail = self._do(fault)
        self._last, self._applied_then = time.monotonic(), self._applied
        self.struck[kind] += 1
        seconds = self._last - self._began
        entry = {"fault": fault.number, "seconds": round(seconds, 3), "kind": kind, "target": target}
        entry |= {"detail": detail, "applied": self._applied, "sent": self._run.feeder.sent}
        entry |= {"planned": fault.at, "workers": self._run.workers.alive(), "offsets": self._offsets()}
        with self._log.open("a") as log:
            log.write(json.dumps(entry) + "\n")
        self._say(
            f"fault {fault.number:3} of {of}  {kind:12} {target:6} {detail:34} "
            f"{self._applied:>9,} of {len(self._run.log):,} applied  {seconds:6.0f} s"
        )

    def _offsets(self) -> dict[str, int]:
        return {f"{topic}[{p}]": offset for (topic, p), offset in self._run.last_positions.items()}

    def _do(self, fault: Fault) -> tuple[str, str, str]:
        """Strike and return what was done to whom, in words."""
        kind = fault.kind
        if kind in ("broker", "disk"):
            return kind, "broker", self._strike_broker(fault)
        alive = self._run.workers.alive()
        if kind == "add" and len(self._wanted) == len(self._names):
            kind = "remove"
        elif kind == "remove" and len(self._wanted) <= self._least:
            kind = "add"
        if kind == "add":
            name = min(set(self._names) - self._wanted)
            self._add(name)
            return kind, name, ""
        while not (alive := self._run.workers.alive()):
            time.sleep(0.05)  # all of them are being started again
            self._supervise()
        name = fault.pick(alive)
        return kind, name, self._strike_worker(kind, name, fault)

    def _strike_worker(self, kind: str, name: str, fault: Fault) -> str:
        workers = self._run.workers
        match kind:
            case "kill":
                workers.kill(name)
                self._later(fault.delay_s, self._start, name)
                return f"back after {fault.delay_s:.1f} s"
            case "term":
                self._later(0, self._terminate, name, fault.delay_s)
                return f"back after {fault.delay_s:.1f} s"
            case "remove":
                self._wanted.discard(name)
                self._later(0, self._terminate, name, None)
                return ""
            case "freeze":
                seconds = fault.between(7, 12)
                workers.stop_clock(name)
                self._later(seconds, workers.go_on, name)
                return f"for {seconds:.1f} s"
        return self._strike_wire(kind, self._wires[name], fault)

    @staticmethod
    def _strike_wire(kind: str, wire: Wire, fault: Fault) -> str:
        match kind:
            case "split":
                seconds = fault.between(7, 13)
                wire.hold(seconds)
            case "cut":
                seconds = fault.between(0.5, 8)
                wire.cut(seconds)
            case "refused":
                seconds = fault.between(1, 14)
                wire.refuse(apis.PRODUCE, seconds)
            case "slow":
                seconds, delay_s = fault.between(4, 12), fault.between(0.02, 0.3)
                wire.slow_down(delay_s, seconds)
                return f"{delay_s * 1000:.0f} ms each way for {seconds:.1f} s"
            case "lost answers":
                asked, count = _ANSWERS[int(fault.strength * len(_ANSWERS))], 1 + fault.number % 3
                wire.lose_answers(asked, count)
                return f"{count} of requests {asked}"
            case _:
                raise ValueError(kind)
        return f"for {seconds:.1f} s"

    def _strike_broker(self, fault: Fault) -> str:
        for restart in self._restarts:
            restart.result()
        assert self._broker is not None
        if fault.kind == "broker":
            self._broker.kill()
            self._restarts = [self._later(fault.delay_s / 3, self._broker.start)]
            return f"back after {fault.delay_s / 3:.1f} s"
        limit = self._fill_disk(fault)
        self._restarts = [self._later(0, self._make_room, fault.delay_s / 3)]
        return f"no file beyond {limit:,} bytes"

    def _fill_disk(self, fault: Fault) -> int:
        """Let no file of the broker grow beyond a little more than the one that it wrote last."""
        assert self._broker is not None
        assert self._broker.pid
        logs = [(file.stat().st_mtime, file) for file in self._broker.data.glob("*/*.log")]
        limit = max(logs)[1].stat().st_size + int(fault.between(1, 3_000))
        resource.prlimit(self._broker.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        return limit

    def _make_room(self, delay_s: float) -> None:
        """Wait until the broker gives up, and start it where there is room."""
        assert self._broker is not None
        until = time.monotonic() + 30
        while self._broker.is_running() and time.monotonic() < until:
            time.sleep(0.05)
        self._broker.kill()
        time.sleep(delay_s)  # for so long nobody makes room
        self._broker.start()

    # -- workers

    def _later(self, seconds: float, do: Callable[..., Any], *args: Any) -> Future[None]:
        def work() -> None:
            time.sleep(seconds)  # the time it takes is part of the fault
            do(*args)

        future = self._background.submit(work)
        self._under_way.append(future)
        return future

    def _add(self, name: str) -> None:
        self._wanted.add(name)
        self._start(name)

    def _start(self, name: str) -> None:
        if name in self._wanted and name not in self._run.workers.alive():
            self._run.workers.start(name)

    def _terminate(self, name: str, back_after_s: float | None) -> None:
        try:
            code = self._run.workers.terminate(name)
        except AssertionError as error:
            self.disobeyed.append(str(error))
        else:
            # A signal that comes while it is still importing ends it before it has begun.
            if code not in (0, -signal.SIGTERM):
                self.ended.append(f"{name} with {code} after SIGTERM: {self._run.workers.tail(name, 3)}")
        if back_after_s is not None:
            time.sleep(back_after_s)  # the time it takes is part of the fault
            self._start(name)
