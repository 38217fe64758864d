"""Runs a broker for a parent process and ends it when the parent ends, however it ends.

Run as a script: ``python broker_guard.py LOG BINARY ARGUMENT...``. Standard input is a pipe that only the
parent holds open: when it closes, because the parent wants so or was killed, the broker is told to stop.
That holds on every platform; on Linux the broker also ends when this guard itself is killed. Needs only the
standard library, so that it starts fast; prints the broker's process id in one line.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Final

_STOP_SECONDS: Final = 15
_BYTES_A_SECOND: Final = 10_000_000

_PR_SET_PDEATHSIG: Final = 1


def main(log: str, command: list[str]) -> int:
    """Run the command until it ends by itself or standard input closes; return its exit code."""
    with open(log, "ab") as output:  # noqa: PTH123  # pathlib would double the start-up time
        broker = subprocess.Popen(  # noqa: S603  # the parent names the binary
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent(),  # noqa: PLW1509  # no thread runs yet
        )
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: broker.terminate())
    print(broker.pid, flush=True)  # noqa: T201  # read by the parent
    threading.Thread(target=_stop_when_left, args=(broker, log), daemon=True).start()
    return broker.wait()


def patience_s(log: str) -> float:
    """Return how long a server may take to read or write what it holds, by what lies beside its log.

    The embedded broker keeps everything in one file, which it writes anew each time.
    """
    held = sum(entry.stat().st_size for entry in os.scandir(os.path.dirname(log)) if entry.is_file())  # noqa: PTH120  # as above
    return _STOP_SECONDS + held / _BYTES_A_SECOND


def _stop_when_left(broker: subprocess.Popen[bytes], log: str) -> None:
    while os.read(0, 4096):
        pass
    broker.terminate()
    try:
        broker.wait(patience_s(log))
    except subprocess.TimeoutExpired:
        broker.kill()


def _end_with_parent() -> Callable[[], None] | None:
    """Return what makes Linux end the broker even if this very process is killed; elsewhere None."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
