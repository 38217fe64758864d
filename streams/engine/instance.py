"""The name of this worker among its group: host or pod name and the first free slot."""

import fcntl
import os
import re
import socket
from pathlib import Path
from typing import IO

from streams.errors import EngineError

_SLOTS = 256


class Instance:
    """A name no other process on this host holds, as long as the object lives.

    Parameters
    ----------
    directory
        Where the lock files lie; workers of one host share it.
    name
        A fixed name; None takes ``HOST-N`` with the first free N.

    Raises
    ------
    EngineError
        The fixed name, or every slot, is taken on this host.
    """

    def __init__(self, directory: Path, name: str | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str]
        if name is not None:
            lock = self._take(directory, name)
            if lock is None:
                raise EngineError(
                    f"instance {name!r} is already running on this host (lock {directory / name}.lock); "
                    "stop it, or give this worker another --instance"
                )
            self.name, self._lock = name, lock
            return
        host = re.sub(r"[^a-zA-Z0-9._-]", "-", socket.gethostname()) or "worker"
        for slot in range(_SLOTS):
            lock = self._take(directory, f"{host}-{slot}")
            if lock is not None:
                self.name, self._lock = f"{host}-{slot}", lock
                return
        raise EngineError(f"all {_SLOTS} instance names of host {host!r} are taken in {directory}")

    @staticmethod
    def _take(directory: Path, name: str) -> IO[str] | None:
        lock = (directory / f"{name}.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return lock

    def release(self) -> None:
        """Let another process take the name."""
        self._lock.close()
