"""Runs the demo: broker, worker and shop from start to summary, and nothing is left behind."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live

from streams import topics
from streams.announce import read_workers
from streams.broker import EmbeddedBroker
from streams.demo.board import Gauges, Outputs
from streams.demo.feeder import Feeder
from streams.demo.report import checks, quality
from streams.demo.setting import HORIZON_DAYS, ITEMS, USERS, settings_of, write_config
from streams.demo.summary import print_summary
from streams.demo.view import Scene, number
from streams.errors import EngineError
from streams.guarded import GuardedProcess
from streams.metrics import table
from streams.settings import Settings
from streams.sources.stop import Stop

_TALL: Final = 34
"""Lines of a terminal on which the whole screen fits."""
_LOOK_S: Final = 0.2
_FRAMES: Final = 5
_LINE_S: Final = 3.0
_START_S: Final = 90.0
_STALL_S: Final = 30.0
"""How long the worker may make no progress after the last event before it is given up."""


class Demo:
    """One run of the demo.

    Parameters
    ----------
    directory
        For the broker's log, the worker's files and its settings.
    seed, rate, seconds
        Of the shop: see `Feeder`.
    stop
        Set by Ctrl-C: no further events are sent, the rest is applied, then comes the summary.
    live
        Whether to draw a screen, else lines.
    """

    def __init__(
        self, directory: Path, *, seed: int, rate: float, seconds: float | None, stop: Stop, live: bool
    ) -> None:
        self._directory = directory
        self._seed, self._rate, self._seconds, self._stop, self._live = seed, rate, seconds, stop, live
        self._console = Console(highlight=False, soft_wrap=not live)
        self.config = write_config(directory)
        self.a_user = "user-000001"

    def run(self) -> int:
        """Run it; return 0 if everything that was sent is accounted for and lists came out."""
        with ExitStack() as stack:
            self._say("starting the broker ...")
            broker = stack.enter_context(EmbeddedBroker(self._directory / "broker"))
            settings = settings_of(self.config, broker.bootstrap_servers)
            topics.ensure(settings)
            worker = stack.enter_context(self._worker(settings))
            url = self._wait_for_worker(settings, worker)
            if not url:
                return 130
            self._say(f"the console is at {url}/")
            gauges, outputs = Gauges(url), Outputs(settings)
            feeder = self._feeder(settings)
            for thread in (gauges, outputs, feeder):
                thread.start()
                stack.callback(thread.leave)
            rows = 5 if self._console.height >= _TALL else 2
            scene = Scene(feeder, gauges, outputs, self._title(), _hints(settings, url), rows)
            self._watch(scene, worker)
            return self._finish(scene)

    def _feeder(self, settings: Settings) -> Feeder:
        return Feeder(settings, seed=self._seed, rate=self._rate, seconds=self._seconds, stop=self._stop)

    @contextlib.contextmanager
    def _worker(self, settings: Settings) -> Iterator[GuardedProcess]:
        self._say(f"broker at {settings.broker.bootstrap_servers}; starting a worker ...")
        log = self._directory / "worker.log"
        command = [
            *(sys.executable, "-m", "streams.cli", "worker"),
            *("--config", self.config, "--data-dir", self._directory),
            *("--bootstrap-servers", settings.broker.bootstrap_servers, "--http-port", "0"),
        ]
        process = GuardedProcess([str(part) for part in command], log)
        try:
            yield process
        finally:
            process.stop()

    def _wait_for_worker(self, settings: Settings, worker: GuardedProcess) -> str:
        """Return the URL of the worker once its partitions are restored, "" after Ctrl-C."""
        until = time.monotonic() + _START_S
        while not self._stop.requested:
            self._must_run(worker)
            found = read_workers(settings, timedelta(seconds=10))
            gauges = Gauges(found[0].url) if found else None
            if gauges and gauges.read() and gauges.value(table.READY):
                return found[0].url
            if time.monotonic() > until:
                raise EngineError(f"the worker was not ready within {_START_S:.0f} s: {_last(worker)}")
            time.sleep(_LOOK_S)
        return ""

    def _watch(self, scene: Scene, worker: GuardedProcess) -> None:
        """Show what happens until the feeding has ended and everything sent is applied."""
        with self._screen(scene) as show:
            progress, moved_at = -1, time.monotonic()
            while True:
                self._must_run(worker)
                _raise_failures(scene)
                judged = scene.feeder.applied = scene.gauges.judged
                now = time.monotonic()
                if judged != progress:
                    progress, moved_at = judged, now
                done = not scene.feeder.is_alive() and _drained(scene)
                stuck = not scene.feeder.is_alive() and now - moved_at > _STALL_S
                show()
                if done or stuck:
                    return
                time.sleep(_LOOK_S)

    @contextlib.contextmanager
    def _screen(self, scene: Scene) -> Iterator[Callable[[], None]]:
        """Yield what draws the present state: the screen, or a line every few seconds."""
        if self._live:
            with Live(scene, console=self._console, refresh_per_second=_FRAMES, screen=False) as live:
                yield live.refresh
            return
        shown = [time.monotonic()]

        def line() -> None:
            if time.monotonic() - shown[0] >= _LINE_S:
                shown[0] = time.monotonic()
                self._say(_line(scene))

        yield line

    def _finish(self, scene: Scene) -> int:
        scene.gauges.read()
        found, outputs = checks(scene.feeder, scene.gauges, scene.outputs), scene.outputs
        complete = all(check.holds for check in found)
        recommended = outputs.list_count > 0 or self._stop.requested
        if outputs.alerts:
            self.a_user = outputs.alerts[-1].user_id
        print_summary(found, quality(scene.gauges, outputs), outputs, self._console)
        if not recommended:
            self._say("nothing was recommended")
        return 0 if complete and recommended else 1

    def _title(self) -> str:
        return f"Keepstream demo: a simulated shop, {USERS} users, {ITEMS} items, seed {self._seed}"

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def _must_run(self, worker: GuardedProcess) -> None:
        if not worker.is_running():
            raise EngineError(f"the worker ended: {_last(worker)}")


def _drained(scene: Scene) -> bool:
    """Whether the worker has judged every event, and the dead letters have been read."""
    judged = scene.gauges.judged >= scene.feeder.sent
    return judged and scene.outputs.dead_letters.total() >= sum(scene.gauges.rejected.values())


def _raise_failures(scene: Scene) -> None:
    for failure in (scene.feeder.failure, scene.outputs.failure):
        if failure is not None:
            raise failure


def _last(worker: GuardedProcess) -> str:
    return " / ".join(worker.said()[-5:]) or "it said nothing"


def _hints(settings: Settings, url: str) -> list[str]:
    reach = f"--bootstrap-servers {settings.broker.bootstrap_servers}"
    return [
        f"A day passes in a second; silent for {HORIZON_DAYS} days means gone. Ctrl-C ends with a summary.",
        f"Console:   {url}/",
        f"Elsewhere: keepstream user user-000001 {reach}",
        f"           keepstream tail alerts {reach}",
        f"           curl {url}/v1/status",
    ]


def _line(scene: Scene) -> str:
    feeder, gauges, outputs = scene.feeder, scene.gauges, scene.outputs
    now = quality(gauges, outputs)
    day = (feeder.now_ms - feeder.first_ms) // 86_400_000 + 1 if feeder.first_ms else 0
    return (
        f"day {day:3}  sent {feeder.sent:7,}  applied {gauges.judged:7,} ({gauges.rate:5,.0f}/s)  "
        f"lists {outputs.list_count:6,}  alerts {outputs.alert_count:4,}  "
        f"AUC {number(now.auc)} (recency {number(now.auc_recency)})  "
        f"hit {number(now.hit_rate)} (popular {number(now.hit_rate_popularity)})"
    )
