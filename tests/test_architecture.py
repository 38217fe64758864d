"""The direction of imports and the size of files, as they are promised in the documentation."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("online_models", "streams")
MODULES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
PURE = [file for file in MODULES if file.is_relative_to(ROOT / "online_models")]

FORBIDDEN = {
    "streams": "decisions know nothing of their transport",
    "faust": "decisions know nothing of their transport",
    "mode": "decisions know nothing of their transport",
    "aiokafka": "decisions know nothing of their transport",
    "kafka": "decisions know nothing of their transport",
    "confluent_kafka": "decisions know nothing of their transport",
    "aiohttp": "decisions know nothing of their transport",
    "asyncio": "decisions are plain functions",
    "threading": "decisions are plain functions",
    "multiprocessing": "decisions are plain functions",
    "subprocess": "decisions are plain functions",
    "socket": "decisions know nothing of their transport",
    "time": "time is an argument",
    "pickle": "snapshots are numbers; loading one executes nothing",
    "dill": "snapshots are numbers; loading one executes nothing",
    "pandas": "columns are numpy arrays",
}
FORBIDDEN_CALLS = {
    "os.environ": "settings are passed on explicitly",
    "os.getenv": "settings are passed on explicitly",
    "datetime.now": "time is an argument",
    "datetime.utcnow": "time is an argument",
    "datetime.today": "time is an argument",
    "date.today": "time is an argument",
}

PART_OF_A_REQUIREMENT = {"yarl", "multidict", "mode-streaming"}
"""Types that aiohttp and Faust have in their own interfaces."""


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports_of(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("file", PURE, ids=name_of)
def test_online_models_import_nothing_that_moves_bytes_or_tells_the_time(file):
    found = imports_of(ast.parse(file.read_text())) & FORBIDDEN.keys()
    assert not found, {name: FORBIDDEN[name] for name in found}


@pytest.mark.parametrize("file", PURE, ids=name_of)
def test_online_models_read_no_environment_and_no_wall_clock(file):
    tree = ast.parse(file.read_text())
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found = {name for name in FORBIDDEN_CALLS if any(text.endswith(name) for text in used)}
    assert not found, {name: FORBIDDEN_CALLS[name] for name in found}


@pytest.mark.parametrize("file", PURE, ids=name_of)
def test_online_models_use_relative_imports_nowhere(file):
    tree = ast.parse(file.read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(file):
    assert ast.get_docstring(ast.parse(file.read_text())), f"{file} has no docstring"


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_no_module_has_more_than_400_lines(file):
    lines = len(file.read_text().splitlines())
    assert lines <= 400


def distribution_name(requirement: str) -> str:
    return re.split(r"[ <>=!;\[~]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_the_code_imports_nothing_but_what_the_package_requires():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    optional = [extras[name] for name in ("embedded", "evaluation", "files", "datasets")]
    required = [*project["dependencies"], *(name for extra in optional for name in extra)]
    allowed = {distribution_name(requirement) for requirement in required} | PART_OF_A_REQUIREMENT
    distributions = packages_distributions()
    for file in MODULES:
        for name in imports_of(ast.parse(file.read_text())) - sys.stdlib_module_names - set(PACKAGES):
            names = {found.lower().replace("_", "-") for found in distributions.get(name, [name])}
            assert names & allowed, f"{name_of(file)} imports {name}, which pyproject.toml does not require"


def test_decisions_can_be_imported_without_any_part_of_the_transport():
    import subprocess

    program = (
        "import pkgutil, importlib, sys, online_models\n"
        "for module in pkgutil.walk_packages(online_models.__path__, 'online_models.'):\n"
        "    importlib.import_module(module.name)\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "print(*sorted(loaded & {'streams', 'faust', 'aiokafka', 'kafka', 'confluent_kafka', 'aiohttp'}))\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []
