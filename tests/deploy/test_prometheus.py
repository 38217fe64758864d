"""Every alert rule fires when it must, has a runbook, and uses metrics that exist."""

import re
import subprocess

import pytest
import yaml

from streams.metrics import TABLE
from tests.deploy.tools import ROOT

DIRECTORY = ROOT / "deploy" / "prometheus"
RULES = yaml.safe_load((DIRECTORY / "rules" / "keepstream.yml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
TESTS = ROOT / "tests" / "deploy" / "rules_test.yml"
STANDARD = {"process_start_time_seconds"}


def promtool(prometheus_bin, *arguments):
    command = [prometheus_bin / "promtool", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def metrics_of(expression):
    """Return the names in an expression that are ours or the process's, histograms without their endings."""
    names = set(re.findall(r"\b(?:keepstream|process)_[a-z0-9_]+\b", expression))
    histograms = {metric.name for metric in TABLE if metric.kind == "histogram"}
    return {
        short if (short := re.sub(r"_(bucket|sum|count)$", "", name)) in histograms else name
        for name in names
    }


def test_the_configuration_is_valid(prometheus_bin):
    shown = promtool(prometheus_bin, "check", "config", DIRECTORY / "prometheus.yml")
    assert shown.returncode == 0, shown.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in shown.stdout


def test_every_rule_fires_when_it_must_and_only_then(prometheus_bin):
    shown = promtool(prometheus_bin, "test", "rules", TESTS)
    assert shown.returncode == 0, shown.stdout + shown.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_without_a_rule_its_test_fails(prometheus_bin, tmp_path, name):
    groups = [
        {**group, "rules": [rule for rule in group["rules"] if rule["alert"] != name]}
        for group in RULES["groups"]
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    tests = yaml.safe_load(TESTS.read_text())
    of_the_rule = [test for test in tests["tests"] if test["name"].split()[0] == name]
    changed = tests | {"rule_files": ["rules.yml"], "tests": of_the_rule}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(changed))
    shown = promtool(prometheus_bin, "test", "rules", tmp_path / "tests.yml")
    assert shown.returncode == 1
    assert name in shown.stderr + shown.stdout


@pytest.mark.parametrize("name", ALERTS)
def test_every_rule_says_how_bad_it_is_and_leads_to_its_runbook(name):
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("page", "warning", "info")
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == name.lower()
    assert f"\n### {name}\n" in (ROOT / page).read_text(encoding="utf-8")


def test_the_documentation_has_no_runbook_without_a_rule():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (Keepstream\w+)$", page, re.MULTILINE)) == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_rules_use_metrics_that_exist(name):
    assert metrics_of(ALERTS[name]["expr"]) <= {metric.name for metric in TABLE} | STANDARD
