"""Compiled code is kept where it can be, used where it cannot be written, and the same on every processor."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from online_models import kernels
from online_models.kernels import PackagedCache

ROOT = Path(__file__).parents[2]

MODULE = """
from online_models.kernels import kernel

@kernel("f8(f8, f8, f8)")
def fused(a, b, c):
    return a * b + c
"""


@pytest.fixture
def module(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "example.py").write_text(MODULE)
    return tmp_path


def run(directory: Path) -> str:
    script = (
        "import example; print(sum(example.fused.stats.cache_hits.values()), example.fused(0.1, 10.0, -1.0))"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": f"{directory / 'code'}:{ROOT}",
        "HOME": str(directory / "home"),
    }
    environment.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip() + done.stderr


def test_code_compiled_once_is_loaded_by_the_next_process(module):
    assert run(module) == "0 0.0"
    assert run(module) == "1 0.0"


def test_what_a_kernel_adds_up_is_not_fused(module):
    """A fused multiply-add would give 5.6e-17, on the processors that have it."""
    assert run(module).endswith(" 0.0")


def test_another_source_is_compiled_anew(module):
    run(module)
    (module / "code" / "example.py").write_text(MODULE.replace("a * b + c", "a + b + c"))
    assert run(module) == f"0 {0.1 + 10.0 - 1.0}"


def test_a_change_of_what_a_module_imports_is_noticed(monkeypatch, tmp_path):
    """Kernels and constants of other modules are compiled into a kernel."""
    package = tmp_path / "online_models"
    package.mkdir()
    monkeypatch.setattr(kernels, "_ROOT", tmp_path)
    (package / "a.py").write_text("from online_models.b import x\n")
    (package / "b.py").write_text("from online_models import (\n    c,\n)\n")
    (package / "c.py").write_text("x = 1\n")
    (package / "d.py").write_text("x = 1\n")
    before = kernels._stamp(package / "a.py")
    (package / "d.py").write_text("x = 2\n")
    kernels._digest.cache_clear()
    assert kernels._stamp(package / "a.py") == before
    (package / "c.py").write_text("x = 2\n")
    kernels._digest.cache_clear()
    assert kernels._stamp(package / "a.py") != before


def test_code_in_a_directory_that_cannot_be_written_is_used(module, monkeypatch):
    run(module)
    monkeypatch.syspath_prepend(str(module / "code"))
    kernel_source = module / "code" / "example.py"
    refused = OSError("read-only file system")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: (_ for _ in ()).throw(refused))
    function = compile(MODULE.replace("@kernel", "# "), str(kernel_source), "exec")
    names: dict = {}
    exec(function, names)  # noqa: S102  # the module without compiling it
    assert PackagedCache.from_function(names["fused"], str(kernel_source)) is not None
    shutil.rmtree(module / "code" / "__pycache__")
    assert PackagedCache.from_function(names["fused"], str(kernel_source)) is None


def test_without_any_place_to_keep_it_a_kernel_works_and_says_so(module):
    shutil.rmtree(module / "home")
    (module / "home").touch()
    (module / "code" / "__pycache__").touch()
    said = run(module)
    assert said.startswith("0 0.0")
    assert "compiled anew by every process" in said
