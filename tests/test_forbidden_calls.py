"""Nothing that is read is ever executed: no pickle, no eval, no yaml.load, no shell."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "streams").rglob("*.py"), *(ROOT / "online_models").rglob("*.py")])

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "xml"}
CALLS = {"eval", "exec", "compile", "__import__"}
PROCESSES = {"run", "Popen", "call", "check_call", "check_output"}
ATTRIBUTES = {("os", "system"), ("os", "popen"), ("tempfile", "mktemp"), ("np", "load"), ("numpy", "load")}


def offences(source):
    """Return what a source text does that it must not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in CALLS:
                found.append(called.id)
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                name = (called.value.id, called.attr)
                found += [".".join(name)] if name in ATTRIBUTES else []
            found += [
                "shell=True"
                for word in node.keywords
                if word.arg == "shell"
                and getattr(called, "attr", getattr(called, "id", "")) in PROCESSES
                and not (isinstance(word.value, ast.Constant) and word.value.value is False)
            ]
            found += ["allow_pickle" for word in node.keywords if word.arg == "allow_pickle"]
            found += [
                "verify=False"
                for word in node.keywords
                if word.arg in ("verify", "verify_ssl", "check_hostname")
                and isinstance(word.value, ast.Constant)
                and not word.value.value
            ]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_executes_nothing_that_it_reads(path):
    assert offences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from yaml import load",
        "import xml.etree.ElementTree",
        "eval('1')",
        "exec(text)",
        "np.load(path)",
        "os.system('ls')",
        "run('ls', shell=True)",
        "get(url, verify=False)",
        "savez(path, allow_pickle=flag)",
    ],
)
def test_an_offence_is_noticed(source):
    assert len(offences(source)) == 1


def test_methods_that_are_only_called_alike_are_none():
    assert offences("re.compile('x'); model.eval(); run(words, shell=False)") == []
