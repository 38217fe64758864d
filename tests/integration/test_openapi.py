"""The HTTP interface is what its description says: a tool that knows nothing else finds no difference."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from streams import topics
from streams.api.openapi import document
from tests.integration.shop import Shop, wait_until, workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TOKEN = "s3cret-token"


@pytest.fixture
def broker(embedded_broker):
    return embedded_broker


@pytest.fixture
def start(settings, tmp_path):
    yield from workers(settings, tmp_path)


def test_schemathesis_finds_nothing(settings, start, tmp_path):
    topics.ensure(settings)
    shop = Shop(settings)
    shop.send_events(500)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    worker = start(KEEPSTREAM_API_TOKEN_FILE=str(token), KEEPSTREAM_RATE_LIMIT="0", KEEPSTREAM_MIN_LABELS="1")
    wait_until(lambda: worker.metrics().get("keepstream_ready") == 1, "readiness")
    wait_until(lambda: worker.judged() == shop.accepted + shop.duplicates, "every event judged")

    request = urllib.request.Request(
        worker.url + "/v1/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        described = json.loads(answer.read())
    assert described == document(token=True)
    with_examples(described, next(iter(shop.event_counts)), next(iter(shop.touches)))
    (tmp_path / "openapi.json").write_text(json.dumps(described))

    program = Path(sys.executable).parent / "schemathesis"
    options = ["--checks", "all", "--max-examples", "20", "--seed", "7", "--generation-database", "none"]
    options += ["--exclude-path", "/v1/stream"]  # it has no end; test_console.py reads it
    options += ["--no-color", "--header", f"Authorization: Bearer {TOKEN}", "--url", worker.url]
    found = subprocess.run(
        [program, "run", *options, "openapi.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert found.returncode == 0, found.stdout[-6_000:] + found.stderr[-2_000:]
    assert "Traceback" not in worker.said
    answered = worker.metrics()
    for kind in ("user", "item"):
        for status in (200, 400, 404):
            assert answered[f'keepstream_lookups_total{{kind="{kind}",status="{status}"}}'], (kind, status)


def with_examples(described, user, item):
    """Name a user and an item that exist, so that their answers are compared with the schemas too."""
    for path, operation in described["paths"].items():
        for parameter in operation["get"].get("parameters", ()):
            parameter["example"] = user if path.startswith("/v1/users") else item
