"""`keepstream item`: what is known of an item, for people and as JSON."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest

from streams.cli import run
from streams.schemas import ItemProfile

PROFILE = {
    "item_id": "sku/1 ü",
    "partition": 1,
    "offset": 7,
    "touches": 1_042,
    "popularity": 12.3,
    "event_time": 1_772_360_100_250,
    "category": "shoes",
    "price": 89.95,
    "neighbours": [{"item_id": "sku-2", "forward": 2.5, "backward": 0.5, "lag1": 0.25}],
}


@pytest.fixture
def worker():
    """Serve one item the way a worker does, and remember what was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = json.dumps(PROFILE if "%2F1" in self.path else {"error": "item 'x' is not known"}).encode()
            self.send_response(200 if "%2F1" in self.path else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_id_travels_whole_and_json_is_the_answer_itself(worker, capsys):
    url, asked = worker
    assert run(["item", "sku/1 ü", "--url", url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == PROFILE
    assert asked == ["/v1/items?id=sku%2F1%20%C3%BC"]


def test_the_readable_form_shows_touches_and_neighbours(worker, capsys):
    assert run(["item", "sku/1 ü", "--url", worker[0]]) == 0
    out = capsys.readouterr().out
    assert "1,042 touches" in out
    assert "shoes, price 89.95" in out
    assert "sku-2" in out
    assert "25.0%" in out


def test_an_unknown_item_is_an_error_in_words(worker, capsys):
    assert run(["item", "x", "--url", worker[0]]) == 1
    assert capsys.readouterr().err == "keepstream: error: item 'x' is not known\n"


def test_the_sample_is_a_profile_as_the_schema_has_it():
    assert msgspec.convert(PROFILE, type=ItemProfile).touches == 1_042
