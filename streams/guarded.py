"""A server in a child process that ends when this process ends, however it ends."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from streams import broker_guard


class GuardedProcess:
    """A command run under `streams/broker_guard.py`, its output appended to a file.

    Parameters
    ----------
    command
        Program and arguments.
    log
        File for what it prints.
    """

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        # A session of its own keeps the terminal's Ctrl-C away: it is stopped after our clients have closed.
        self._guard = subprocess.Popen(  # noqa: S603  # our own interpreter, our own file
            [sys.executable, "-I", "-S", broker_guard.__file__, str(log), *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert self._guard.stdout is not None
        self._pid = int(self._guard.stdout.readline() or 0)

    @property
    def pid(self) -> int:
        """Process id of the command itself; 0 when it has ended."""
        return self._pid if self.is_running() else 0

    def is_running(self) -> bool:
        """Return whether it lives."""
        return self._guard.poll() is None

    def said(self) -> list[str]:
        """Return the lines it has printed so far."""
        if not self._log.exists():
            return []
        with self._log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace").splitlines()

    def wait(self) -> int:
        """Wait until it ends by itself and return its exit code."""
        return self._guard.wait()

    def stop(self) -> None:
        """Ask it to stop (SIGTERM; on Windows it is ended) and wait; kill it when it takes too long."""
        self._leave()
        try:
            self._guard.wait(broker_guard.patience_s(str(self._log)) + 5)
        except subprocess.TimeoutExpired:
            self._kill_group()

    def kill(self) -> None:
        """End it without notice, as a power cut would, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            if self.pid:
                os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self._guard.wait()
        self._leave()

    def _leave(self) -> None:
        for pipe in (self._guard.stdin, self._guard.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _kill_group(self) -> None:
        if sys.platform == "win32":
            self._guard.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.wait()
