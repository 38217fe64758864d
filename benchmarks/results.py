"""Where the figures of a run are kept until the page is written, and the machine they are of."""

import json
import os
import platform
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

FIGURES: Final = Path(__file__).parent / "figures"
"""Of runs in full, kept with the page that shows them."""

SMALL: Final = Path(__file__).parent.parent / ".cache" / "benchmarks"
"""Of smaller ones, which show that a part works."""


@contextmanager
def collected(name: str, options: Namespace) -> Iterator[dict[str, Any]]:
    """Yield a dictionary that is saved under a name once the block ends well.

    Parameters
    ----------
    name
        Of the part.
    options
        Of the command line; a `divisor` above 1 makes it a small run.
    """
    began, load = time.monotonic(), os.getloadavg()[0]
    found: dict[str, Any] = {}
    yield found
    found["run"] = {
        "command": " ".join([f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]]),
        "day": datetime.now(UTC).date().isoformat(),
        "seconds": time.monotonic() - began,
        "load": [load, os.getloadavg()[0]],
        "machine": machine(),
    }
    directory = FIGURES if options.divisor == 1 else SMALL
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_text(json.dumps(_rounded(found), indent=1) + "\n")


def saved(name: str, directory: Path = FIGURES) -> dict[str, Any]:
    """Return what was saved under a name, nothing where nothing was."""
    path = directory / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _rounded(value: Any) -> Any:
    """Return figures without digits that say nothing."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="keepstream-benchmark-", ignore_cleanup_errors=True)


def scratch() -> Path:
    """Return a directory that goes with this process."""
    return Path(_scratch().name)


def machine() -> str:
    """Return what a reader must know of the machine."""
    processor = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor() or "unknown processor",
    )
    system = f"{platform.system()} {platform.machine()}"
    return f"{processor}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
