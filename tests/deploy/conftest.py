"""What the tools say of the deployment's files; skipped with a reason where a tool is missing."""

import json
import subprocess

import pytest
import yaml

from tests.deploy import tools


@pytest.fixture(scope="session")
def services(tmp_path_factory):
    """Return the services as compose resolves them, those of the profile included, without any .env."""
    command = [*tools.or_skip(tools.compose), "--project-directory", tools.ROOT]
    command += ["--file", tools.ROOT / "docker-compose.yml", "--env-file", "/dev/null"]
    command += ["--profile", "simulate", "config", "--format", "json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin"})
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)["services"]


@pytest.fixture(scope="session")
def prometheus_bin():
    """Return the directory of prometheus and promtool."""
    return tools.or_skip(tools.prometheus)


@pytest.fixture(scope="session")
def manifests():
    """Return the Kubernetes objects as kustomize puts them together."""
    command = [*tools.or_skip(tools.kubectl), "kustomize", tools.ROOT / "deploy" / "kubernetes"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    return list(yaml.safe_load_all(shown.stdout))
