"""The tests that the threat model names behind its defences exist."""

import ast
import re

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/.]+\.py(?:::\w+)*)`", PAGE)))


def exists(reference):
    """Return whether a file holds the class and the function behind it."""
    path, *names = reference.split("::")
    if not (ROOT / path).is_file():
        return False
    node = ast.parse((ROOT / path).read_text())
    for name in names:
        node = next((child for child in node.body if getattr(child, "name", "") == name), None)
        if node is None:
            return False
    return any("test_" in getattr(child, "name", "") for child in [node, *ast.walk(node)])


@pytest.mark.parametrize("reference", NAMED)
def test_a_named_test_exists(reference):
    assert exists(reference)


def test_a_test_that_does_not_exist_is_noticed():
    assert not exists("tests/docs/test_threat_model.py::TestNothing")
    assert not exists("tests/docs/test_threats.py")


def test_every_defence_names_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") == 4]
    defences = [row for row in rows if not row.startswith("| threat |")]
    assert len(defences) > 15
    assert [row for row in defences if "`tests/" not in row] == []
