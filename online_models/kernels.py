"""Compiles loops that numpy cannot express: once on a machine, and to the same results on every machine.

numba compiles for the processor at hand unless told otherwise. Here it compiles for what all processors of an
architecture have, so that a partition counts the same wherever it is worked on and an image carries its
compiled code to whatever runs it; and it never fuses or reorders what a kernel adds up.
"""

import importlib
import logging
import pkgutil
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

import numba
from numba import config
from numba.core.caching import InTreeCacheLocator

import online_models

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


_ROOT: Final = Path(online_models.__file__).parent.parent
_IMPORT: Final = re.compile(
    rf"^(?:from|import) ({online_models.__name__}[.\w]*)(?: import (\(.*?\)|.*?$))?", re.MULTILINE | re.DOTALL
)


@cache
def _imported(source: Path) -> frozenset[Path]:
    """Return the modules of the package that a module imports."""
    found = set()
    for module, names in _IMPORT.findall(source.read_text("utf-8")):
        path = _ROOT.joinpath(*module.split("."))
        found |= {path.with_suffix(".py"), *(path / f"{name}.py" for name in re.findall(r"\w+", names))}
    return frozenset(path for path in found if path.exists())


def _stamp(source: Path) -> bytes:
    """Return what changes with a module or with any that it imports, directly or not."""
    reached, waiting = {source}, [source]
    while waiting:
        fresh = _imported(waiting.pop()) - reached
        reached |= fresh
        waiting += fresh
    return sha256(b"".join(_digest(path) for path in sorted(reached))).digest()


@cache
def _digest(source: Path) -> bytes:
    return sha256(source.read_bytes()).digest()


class PackagedCache(InTreeCacheLocator):  # type: ignore[misc]  # numba is untyped
    """Compiled code beside its module, where it may lie without being writable, as in an image.

    Code of other modules is compiled into it, kernels and constants; numba would not notice their change.
    """

    def get_source_stamp(self) -> bytes:
        """Return what tells whether the code is still that of the sources."""
        return _stamp(Path(self._py_file))

    def ensure_cache_path(self) -> None:
        """Accept a directory that holds the module's compiled code; else it must be writable."""
        with suppress(OSError):
            if any(Path(self.get_cache_path()).glob(f"{Path(self._py_file).stem}.*.nbi")):
                return
        super().ensure_cache_path()


config.CPU_NAME, config.CPU_FEATURES = "generic", ""
config.CACHE_LOCATOR_CLASSES = (
    f"UserProvidedCacheLocator, {PackagedCache.__module__}.{PackagedCache.__name__}, UserWideCacheLocator"
)


def kernel(signature: str) -> Callable[[F], F]:
    """Compile a function for arguments of fixed types when its module is imported.

    Compiled code is kept: beside the module, else in the user's cache (or ``NUMBA_CACHE_DIR``). Where neither
    can be written, every process compiles anew, and says so.

    Parameters
    ----------
    signature
        Types of result and arguments in numba's notation, ``"f8(f8[::1], i8)"``. Arrays of views that are
        not contiguous are ``[:]``.

    Returns
    -------
    Callable
        A decorator; what it returns checks no bounds and holds no lock of the interpreter while it runs.

    Examples
    --------
    >>> import numpy as np
    >>> @kernel("f8(f8[::1])")
    ... def total(values):
    ...     found = 0.0
    ...     for value in values:
    ...         found += value
    ...     return found
    >>> total(np.array([1.0, 2.5]))
    3.5

    References
    ----------
    Lam, Pitrou, Seibert, "Numba: a LLVM-based Python JIT compiler", LLVM-HPC 2015.
    """

    def compiled(function: F) -> F:
        compile_for: Any = partial(numba.njit, signature, nogil=True, error_model="numpy", boundscheck=False)
        found: F
        try:
            found = compile_for(cache=True)(function)
        except (OSError, RuntimeError) as error:
            log.warning("%s is compiled anew by every process: %s", function.__qualname__, error)
            found = compile_for()(function)
        return found

    return compiled


def main() -> None:
    """Import every module of the package, so that whatever is to be compiled is compiled now."""
    for module in pkgutil.walk_packages(online_models.__path__, f"{online_models.__name__}."):
        importlib.import_module(module.name)


if __name__ == "__main__":
    main()
