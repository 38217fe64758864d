"""Where figures of a run are kept until the page is written, and the machine they are of."""

import json
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent.parent / ".cache" / "benchmarks"


@contextmanager
def collected(name: str) -> Iterator[dict[str, Any]]:
    """Yield a dictionary that is saved under a name once the block ends well."""
    found: dict[str, Any] = {"machine": machine()}
    yield found
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    (DIRECTORY / f"{name}.json").write_text(json.dumps(found, indent=1))


def saved(name: str) -> dict[str, Any]:
    """Return what was saved under a name, nothing where nothing was."""
    path = DIRECTORY / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="keepstream-benchmark-", ignore_cleanup_errors=True)


def scratch() -> Path:
    """Return a directory that goes with this process."""
    return Path(_scratch().name)


def machine() -> dict[str, Any]:
    """Return what a reader must know of the machine."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor() or "unknown",
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0],
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
