"""The programs that read the deployment's files: Docker's compose, hadolint, Prometheus, kubectl."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.integration.kafka import once

ROOT = Path(__file__).parents[2]

Tool = TypeVar("Tool", list[str], Path)


class MissingToolError(Exception):
    """A program is not here and cannot be had; the message says what would help."""


def or_skip(find: Callable[[], Tool]) -> Tool:
    """Return what `find` returns; where it is missing skip the test, but fail in continuous integration."""
    try:
        return find()
    except MissingToolError as error:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{error}; continuous integration must not skip it")
        pytest.skip(str(error))


def compose() -> list[str]:
    """Return the command that is Docker's compose, without an engine."""
    beside = Path(sys.executable).with_name("docker-compose")
    if beside.exists():
        return [str(beside)]
    if (docker := shutil.which("docker")) and _works([docker, "compose", "version"]):
        return [docker, "compose"]
    raise MissingToolError("there is no docker compose")


def hadolint() -> list[str]:
    """Return the command that is hadolint."""
    found = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if found is None:
        raise MissingToolError("there is no hadolint")
    return [found]


def kubectl() -> list[str]:
    """Return the command that is kubectl, which has kustomize built in."""
    if (found := shutil.which("kubectl")) is None:
        raise MissingToolError("there is no kubectl")
    return [found]


def prometheus() -> Path:
    """Return where `prometheus` and `promtool` are: on the path, or Debian's, unpacked once."""
    found = shutil.which("promtool")
    if found and shutil.which("prometheus"):
        return Path(found).parent
    base = os.environ.get("KEEPSTREAM_CACHE_DIR") or "~/.cache/keepstream"
    cache = Path(base).expanduser() / "prometheus"
    if not (cache / "package").is_dir() and not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise MissingToolError("there is no prometheus, and no apt-get that could fetch Debian's")
    return once(cache, "package", _fetch_prometheus) / "usr" / "bin"


def _fetch_prometheus(work: Path) -> None:
    """Unpack Debian's package; lists and caches of its own, so that it takes neither root nor installing."""
    for directory in ("lists/partial", "archives/partial"):
        (work / directory).mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work}"]
    apt += ["-o", "APT::Sandbox::User=root"]
    try:
        for arguments in (["update"], ["download", "prometheus"]):
            subprocess.run(
                [*apt, *arguments], cwd=work, check=True, capture_output=True, text=True, timeout=300
            )
    except subprocess.CalledProcessError as error:
        raise MissingToolError(f"there is no prometheus, and apt-get says {error.stderr[-300:]!r}") from error
    (package,) = work.glob("prometheus_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, work / "package"], check=True)


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
