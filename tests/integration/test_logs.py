"""What a running worker says: structured, about what matters, and never an id or a secret."""

import json
import re
import urllib.error
import urllib.request

import pytest

from streams import topics
from tests.integration.shop import START_MS, Shop, wait_until, workers

pytestmark = pytest.mark.slow

MARK = "very-private-person"


@pytest.fixture
def broker(embedded_broker):
    return embedded_broker


@pytest.fixture
def start(settings, tmp_path):
    yield from workers(settings, tmp_path)


def ask(url, token):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_lines_are_json_and_hold_no_user_and_no_secret(settings, start):
    topics.ensure(settings)
    shop = Shop(settings)
    event = {"event_name": "view_item", "event_time": START_MS, "user_id": MARK, "item_id": "p"}
    for number in range(50):
        shop._send(MARK.encode(), json.dumps({"event_id": f"{MARK}{number}", **event}).encode())
    for bad in (
        b'{"user_id": "%s", ' % MARK.encode(),
        json.dumps({**event, "event_id": "", "user_id": MARK}),
    ):
        shop.send_bad("not_json", bad if isinstance(bad, bytes) else bad.encode(), MARK.encode())
    shop.flush()
    worker = start(
        KEEPSTREAM_LOG_FORMAT="json", KEEPSTREAM_LOG_LEVEL="debug", KEEPSTREAM_API_TOKEN="hunter2-hunter2"
    )

    def url():
        found = re.findall(r"lookups at (http://[^\"\s]+)", worker.said)
        return found[0] if found else ""

    wait_until(lambda: bool(url()), "an address")
    wait_until(lambda: ask(f"{url()}/v1/users/{MARK}", "hunter2-hunter2") == 200, "the user")
    nobody = f"{url()}/v1/users/{MARK}-nobody"
    wait_until(lambda: ask(nobody, "hunter2-hunter2") == 404, "every partition opened")
    assert ask(f"{url()}/v1/users/{MARK}", "wrong") == 401
    assert ask(f"{url()}/v1/users/{MARK * 20}", "hunter2-hunter2") == 400
    wait_until(lambda: "checkpoint of" in worker.said, "a checkpoint")
    assert worker.terminate() == 0

    lines = [json.loads(line) for line in worker.said.splitlines() if line.startswith("{")]
    assert MARK not in worker.said
    assert "hunter2" not in worker.said
    by_logger = {line["logger"]: line for line in lines}
    assert by_logger["streams.engine.restore"]["level"] == "info"
    assert by_logger["streams.engine.restore"]["rows"] == 0
    assert {line["level"] for line in lines if "checkpoint of" in line["message"]} == {"debug"}
    held = 2 * settings.topics.events_partitions + 2  # users and items; trainer and ranker
    assert [line["partitions"] for line in lines if line["message"].startswith("generation")] == [held]
