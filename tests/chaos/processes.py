"""Worker processes by name: started, killed, stopped, frozen, and asked for their last words."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

_NOISE = ("rdkafka#", " INFO faust", "Heartbeat failed for group", "Marking the coordinator dead")
_LIBRARY = ("/concurrent/", "/asyncio/", "/threading.py", "/mode/", "<frozen ")


def _told(dump: str) -> str:
    """Return a dump of threads without the frames of libraries that every thread has."""
    return "\n".join(line for line in dump.splitlines() if not any(frame in line for frame in _LIBRARY))


def _outside() -> dict[str, str]:
    """Return this process's environment without the developer's own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KEEPSTREAM_")}


class Workers:
    """The workers of one group, each with a log of its own that outlives restarts.

    Parameters
    ----------
    directory
        For their logs.
    command
        Returns the command line of a worker, given its name.
    environment
        Returns what its environment holds beside this process's.
    """

    def __init__(
        self,
        directory: Path,
        command: Callable[[str], Sequence[str | Path]],
        environment: Callable[[str], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self.directory = directory
        self._command, self._environment = command, environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._frozen: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()

    def start(self, name: str) -> None:
        with self._lock, self.log(name).open("ab") as output:
            assert name not in self.alive(), f"{name} runs already"
            self._processes[name] = subprocess.Popen(
                list(map(str, self._command(name))),
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=_outside() | self._environment(name),
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def alive(self) -> list[str]:
        """Return the names of those that run, frozen or not."""
        with self._lock:
            return [name for name, process in self._processes.items() if process.poll() is None]

    def kill(self, name: str) -> None:
        with self._lock:
            process = self._processes.pop(name)
            process.kill()
        process.wait(30)

    def terminate(self, name: str, deadline_s: float = 60) -> int:
        """Ask it to stop and return its exit code; kill it where it does not stop in time, and raise."""
        with self._lock:
            process = self._processes.pop(name)
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGUSR1)
            time.sleep(0.5)  # the dump is written meanwhile; this is a report of a failure
            process.kill()
            process.wait(30)
            raise AssertionError(
                f"{name} did not stop within {deadline_s:.0f} s\n{self.tail(name)}"
            ) from None

    def stop_clock(self, name: str) -> None:
        """Freeze it: it neither runs nor dies."""
        with self._lock:
            process = self._frozen[name] = self._processes[name]
            process.send_signal(signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """Let a frozen one run on, though it may have been asked to stop meanwhile."""
        with self._lock:
            if (process := self._frozen.pop(name, None)) is not None:
                process.send_signal(signal.SIGCONT)

    def freeze(self, name: str, seconds: float) -> None:
        self.stop_clock(name)
        time.sleep(seconds)  # the length of the freeze is the fault, nothing is waited for
        self.go_on(name)

    def collect_ended(self) -> dict[str, int]:
        """Return names and exit codes of those that ended by themselves, and forget them."""
        with self._lock:
            ended = {name: code for name, p in self._processes.items() if (code := p.poll()) is not None}
            for name in ended:
                del self._processes[name]
        return ended

    def supervise(self) -> dict[str, int]:
        """Start those again that ended by themselves, as a supervisor does, and return their exit codes."""
        ended = self.collect_ended()
        for name in ended:
            self.start(name)
        return ended

    def close(self) -> None:
        """Kill whatever runs."""
        for name in list(self._processes):
            self.kill(name)

    def last_words(self, lines: int = 60) -> str:
        """Return where the threads of every worker stand, and the ends of the logs of all there ever were."""
        for name in self.alive():
            self.go_on(name)
        words = [self.tail(log.stem, lines) for log in sorted(self.directory.glob("*.log"))]
        ends = {name: self.log(name).stat().st_size for name in self.alive()}
        for name in ends:
            self._processes[name].send_signal(signal.SIGUSR1)
        time.sleep(1)  # the dumps are written meanwhile; this is a report of a failure
        for name, end in ends.items():
            dump = self.log(name).read_bytes()[end:].decode(errors="replace")
            words.append(f"-- threads of {name}\n{_told(dump)}")
        return "\n".join(words)

    def tail(self, name: str, lines: int = 60) -> str:
        """Return the end of a worker's log, without what clients say of every attempt to connect."""
        text = self.log(name).read_text(errors="replace").splitlines()
        told = [line for line in text if not any(noise in line for noise in _NOISE)]
        return "\n".join([f"-- {name}", *told[-lines:]])
