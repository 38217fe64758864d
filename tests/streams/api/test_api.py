"""The server of a worker, asked over HTTP; two of them answer for each other."""

import asyncio
import dataclasses
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from online_models.errors import InvalidParameterError
from streams.api import Server
from streams.api.limits import RateLimit
from streams.api.server import ServerError
from streams.engine.membership import Membership
from streams.schemas import ModelSnapshot
from tests.streams.api.fakes import FakeWorker, eventually, get, token

STRANGE = ["a/b", "a b", "ü-ß-漢", "%2F", "..", ".", "?id=x", "#", "a+b", '"', "u&v=w", "\\", "x" * 128]


class TestLookups:
    async def test_a_user_is_answered_with_place_in_the_log(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(1, "u:c-1")
        status, body, _ = await get(f"{await start(worker)}/v1/users/c-1")
        assert status == 200
        assert body == {"subject": "u:c-1", "worker": "w-0", "partition": 1, "offset": 9}
        assert worker.metrics.value("keepstream_lookups_total", kind="user", status="200") == 1

    async def test_visitors_are_found_by_their_subject(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(0, "a:dev-1")
        worker.users(1)
        url = await start(worker)
        assert (await get(f"{url}/v1/users/a:dev-1"))[0] == 200
        assert (await get(f"{url}/v1/users/dev-1"))[0] == 404

    @pytest.mark.parametrize("strange", STRANGE)
    async def test_ids_may_hold_any_character(self, two_partitions, start, strange):
        worker = FakeWorker(two_partitions)
        worker.items(0, strange)
        worker.items(1)
        url = await start(worker)
        assert (await get(f"{url}/v1/items?id={quote(strange, safe='')}"))[1]["item_id"] == strange
        if strange not in (".", ".."):  # clients resolve these before they ask
            assert (await get(f"{url}/v1/items/{quote(strange, safe='')}"))[1]["item_id"] == strange

    @pytest.mark.parametrize(
        ("path", "longest"),
        [
            ("/v1/users", 130),
            ("/v1/users?id=", 130),
            ("/v1/users/" + "x" * 131, 130),
            ("/v1/items/" + "x" * 129, 128),
        ],
    )
    async def test_ids_have_limits(self, two_partitions, start, path, longest):
        status, body, _ = await get(await start(FakeWorker(two_partitions)) + path)
        assert (status, body) == (400, {"error": f"an id has 1 to {longest} characters"})

    async def test_the_longest_id_is_found_with_and_without_its_prefix(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(0, "u:" + "x" * 128)
        url = await start(worker)
        for path in ("x" * 128, "u:" + "x" * 128):
            assert (await get(f"{url}/v1/users/{path}"))[0] == 200

    async def test_an_id_nobody_knows_is_404_when_every_partition_was_looked_into(
        self, two_partitions, start
    ):
        worker = FakeWorker(two_partitions)
        worker.users(0), worker.users(1)
        status, body, _ = await get(f"{await start(worker)}/v1/users/x")
        assert (status, body) == (404, {"error": "user 'u:x' is not known"})

    async def test_while_a_partition_has_no_owner_the_answer_is_503(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(0, "u:here")
        worker.users(1, "u:soon").opened = False
        url = await start(worker)
        status, body, headers = await get(f"{url}/v1/users/soon")
        assert status == 503
        assert headers["Retry-After"] == "2"
        assert body["waiting_for"] == ["users[1]"]
        assert (await get(f"{url}/v1/users/here"))[0] == 200

    async def test_a_handler_that_raises_is_a_500_and_the_server_goes_on(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(0).handler.known = None
        url = await start(worker)
        assert (await get(f"{url}/v1/users/x"))[0] == 500
        assert (await get(f"{url}/health/live"))[0] == 200


class TestForwarding:
    async def test_any_worker_answers_for_the_owner(self, two_partitions, start):
        first, second = FakeWorker(two_partitions, "w-0"), FakeWorker(two_partitions, "w-1")
        first.users(0, "u:left")
        second.users(1, "u:right /?")
        urls = [await start(first), await start(second)]

        async def both_know():
            answers = [
                await get(f"{url}/v1/users/{quote(who, safe='')}")
                for url in urls
                for who in ("left", "right /?")
            ]
            return [status for status, _, _ in answers] == [200] * 4

        await eventually(both_know)
        assert (await get(f"{urls[0]}/v1/users/right%20%2F%3F"))[1]["worker"] == "w-1"
        assert (await get(f"{urls[0]}/v1/users/nobody"))[0] == 404
        status, body, _ = await get(f"{urls[0]}/v1/users/left", **{"X-Keepstream-Forwarded": "1"})
        assert (status, body["worker"]) == (200, "w-0")

    async def test_a_forwarded_question_is_not_forwarded_again(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(0, "u:left")
        url = await start(worker)
        status, body, _ = await get(f"{url}/v1/users/right", **{"X-Keepstream-Forwarded": "1"})
        assert (status, body) == (404, {"error": "not here", "looked_into": [0]})

    async def test_an_answer_of_many_packets_is_passed_on_whole(self, two_partitions, start):
        first, second = FakeWorker(two_partitions, "w-0"), FakeWorker(two_partitions, "w-1")
        first.users(0)
        handler = second.users(1, "u:right").handler
        handler.known["u:right"]["text"] = "x" * 2_000_000
        url, _ = await start(first), await start(second)

        async def found():
            status, body, _ = await get(f"{url}/v1/users/right")
            return status == 200 and len(body["text"]) == 2_000_000

        await eventually(found)
        handler.known["u:right"]["text"] = "x" * 5_000_000
        assert (await get(f"{url}/v1/users/right"))[0] == 503

    async def test_workers_show_each_other_the_token(self, two_partitions, start):
        first = FakeWorker(two_partitions, "w-0", api_token=token())
        second = FakeWorker(two_partitions, "w-1", api_token=token())
        first.users(0)
        second.users(1, "u:right")
        url, _ = await start(first), await start(second)

        async def found():
            return (await get(f"{url}/v1/users/right", Authorization="Bearer s3cret"))[0] == 200

        await eventually(found)

    async def test_a_dead_worker_makes_it_503_not_404(self, two_partitions, start):
        first, second = FakeWorker(two_partitions, "w-0"), FakeWorker(two_partitions, "w-1")
        first.users(0)
        second.users(1, "u:right")
        dead = Server(second)
        await dead.start()
        url = await start(first)

        async def found():
            return (await get(f"{url}/v1/users/right"))[0] == 200

        await eventually(found)
        await dead._runner.cleanup()
        assert (await get(f"{url}/v1/users/right"))[0] == 503
        await dead.stop()


class TestHealth:
    async def test_live_answers_whatever_else_is_missing(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.runtime.membership = None
        assert (await get(f"{await start(worker)}/health/live"))[:2] == (200, {"alive": True})

    async def test_ready_says_what_is_missing(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        url = await start(worker)
        worker.runtime.membership = None
        status, body, _ = await get(f"{url}/health/ready")
        assert (status, body["waiting_for"]) == (503, ["no partitions assigned yet"])
        worker.runtime.membership = Membership("g", "i", 1, "m")
        partition = worker.users(1)
        partition.opened = worker.broadcast.ready = False
        body = (await get(f"{url}/health/ready"))[1]
        assert body["waiting_for"] == ["users[1] is being restored", "models and neighbours are being read"]
        partition.opened = worker.broadcast.ready = True
        assert (await get(f"{url}/health/ready"))[:2] == (200, {"ready": True, "waiting_for": []})

    async def test_a_rebalance_takes_readiness_away_and_not_life(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(0)
        url = await start(worker)
        worker.runtime.rebalancing = True
        status, body, _ = await get(f"{url}/health/ready")
        assert (status, body["waiting_for"]) == (503, ["the group is rebalancing"])
        assert (await get(f"{url}/health/live"))[0] == 200
        assert "keepstream_ready 0.0" in (await get(f"{url}/metrics"))[1]
        worker.runtime.rebalancing = False
        assert (await get(f"{url}/health/ready"))[0] == 200


class TestToken:
    async def test_lookups_ask_for_it_and_probes_do_not(self, two_partitions, start):
        worker = FakeWorker(two_partitions, api_token=token())
        worker.users(0, "u:x")
        url = await start(worker)
        assert (await get(f"{url}/v1/users/x"))[0] == 401
        assert (await get(f"{url}/v1/nothing"))[0] == 401
        assert (await get(f"{url}/v1/openapi.json"))[0] == 401
        assert (await get(f"{url}/v1/users/x", Authorization="Bearer s3cre"))[0] == 401
        assert (await get(f"{url}/v1/users/x", Authorization="Basic s3cret"))[0] == 401
        assert (await get(f"{url}/v1/users/x", Authorization="bearer s3cret"))[0] == 200
        assert (await get(f"{url}/metrics"))[0] == 200
        assert (await get(f"{url}/health/live"))[0] == 200

    async def test_odd_bytes_are_a_wrong_token_and_no_failure(self, two_partitions, start):
        url = URL(await start(FakeWorker(two_partitions, api_token=token("\u00e4"))))
        for sent, status in ((b"\xff\xfe", b"401"), ("\u00e4".encode(), b"503")):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(
                b"GET /v1/users/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + sent + b"\r\n\r\n"
            )
            assert (await reader.readline()).split()[1] == status
            writer.close()

    async def test_without_one_lookups_are_off_where_other_machines_could_ask(self, two_partitions, start):
        worker = FakeWorker(two_partitions, http_host="0.0.0.0")  # noqa: S104
        worker.users(0, "u:x")
        port = URL(await start(worker)).port
        status, body, _ = await get(f"http://127.0.0.1:{port}/v1/users/x")
        assert status == 403
        assert "no api_token is set" in body["error"]
        assert (await get(f"http://127.0.0.1:{port}/health/live"))[0] == 200
        assert (await get(f"http://127.0.0.1:{port}/metrics"))[0] == 200

    async def test_with_one_they_are_on_there(self, two_partitions, start):
        worker = FakeWorker(two_partitions, http_host="0.0.0.0", api_token=token())  # noqa: S104
        worker.users(0, "u:x")
        port = URL(await start(worker)).port
        found = await get(f"http://127.0.0.1:{port}/v1/users/x", Authorization="Bearer s3cret")
        assert found[0] == 200


class TestLimits:
    async def test_a_name_that_a_web_page_made_up_is_not_ours(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(0, "u:x")
        url = await start(worker)
        port = URL(url).port
        assert (await get(f"{url}/v1/users/x", Host=f"evil.example:{port}"))[0] == 403
        assert (await get(f"{url}/v1/users/x", Host=f"localhost:{port}"))[0] == 200
        assert (await get(f"{url}/v1/users/x", Host=f"[::1]:{port}"))[0] == 200

    async def test_an_address_that_asks_too_much_has_to_wait(self, two_partitions, start):
        worker = FakeWorker(two_partitions, rate_limit=0.001)
        worker.users(0, "u:x")
        url = await start(worker)
        status, _, headers = await get(f"{url}/v1/users/x")
        assert (status, headers["Retry-After"]) == (429, "998")
        assert (await get(f"{url}/health/ready"))[0] == 200
        assert (await get(f"{url}/metrics"))[0] == 200
        assert (await get(f"{url}/v1/users/x", **{"X-Keepstream-Forwarded": "1"}))[0] == 200

    async def test_too_many_at_once_have_to_come_again(self, two_partitions, start, monkeypatch):
        monkeypatch.setattr("streams.api.guard.MAX_AT_ONCE", 0)
        url = await start(FakeWorker(two_partitions))
        status, body, headers = await get(f"{url}/v1/status")
        assert (status, body["error"], headers["Retry-After"]) == (503, "too many lookups at once", "2")

    async def test_a_request_with_a_body_is_refused_unread(self, two_partitions, start):
        url = await start(FakeWorker(two_partitions))
        async with aiohttp.ClientSession() as session:
            for path in ("/v1/status", "/metrics"):
                async with session.get(url + path, data=b"x" * 100_000) as answer:
                    assert answer.status == 413
                    assert answer.headers["Connection"] == "close"

    async def test_answers_about_people_are_not_to_be_kept(self, two_partitions, start):
        url = await start(FakeWorker(two_partitions))
        assert (await get(f"{url}/v1/users/x"))[2]["Cache-Control"] == "no-store"


class TestRateLimit:
    def test_a_burst_then_a_steady_rate(self):
        now = [0.0]
        limit = RateLimit(10, clock=lambda: now[0])
        assert [limit.wait_s("a") for _ in range(21)] == [0.0] * 20 + [0.1]
        now[0] = 0.1
        assert [limit.wait_s("a") for _ in range(2)] == [0.0, 0.1]

    def test_addresses_do_not_share(self):
        limit = RateLimit(0.5, clock=lambda: 0.0)
        assert [limit.wait_s(address) for address in "aab"] == [0.0, 2.0, 0.0]

    def test_none_is_no_limit(self):
        limit = RateLimit(0)
        assert sum(limit.wait_s("a") for _ in range(10_000)) == 0

    def test_memory_is_bounded(self):
        limit = RateLimit(1, clock=lambda: 0.0)
        for number in range(10_050):
            limit.wait_s(str(number))
        assert len(limit._buckets) == 10_000

    def test_a_negative_rate_is_refused(self):
        with pytest.raises(InvalidParameterError, match="-1"):
            RateLimit(-1)


class TestPages:
    async def test_metrics_show_partitions_and_readiness(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(0), worker.users(1)
        _, text, headers = await get(f"{await start(worker)}/metrics")
        assert 'keepstream_partitions_open{agent="users"} 2.0' in text
        assert "keepstream_ready 1.0" in text
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4")

    async def test_status_shows_positions_and_counters(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(1)
        worker.metrics.events(5, 1, {"not_json": 2})
        _, body, _ = await get(f"{await start(worker)}/v1/status")
        assert body["partitions"][0] | {"topic": ""} == {
            "agent": "users",
            "topic": "",
            "partition": 1,
            "position": 10,
            "open": True,
        }
        assert body["counters"]["accepted"] == 5
        assert body["counters"]["rejected"] == {"not_json": 2}
        assert body["generation"] == 1

    async def test_the_model_is_absent_until_there_is_a_snapshot(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        url = await start(worker)
        assert (await get(f"{url}/v1/model"))[0] == 404
        state = {"scorer": {"card": {"churn_auc": 0.7}, "features": ["recency"], "weights": [0.5]}}
        worker.broadcast.snapshot = ModelSnapshot("churn", "churn-3", 7, 40, 1, state)
        body = (await get(f"{url}/v1/model"))[1]
        assert body["model_version"] == "churn-3"
        assert body["newest_version"] == "churn-3"
        assert body["metrics"] == {"churn_auc": 0.7}
        assert body["weights"] == {"recency": 0.5}

    async def test_a_pinned_model_is_shown_beside_the_newest(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.broadcast.snapshot = ModelSnapshot("churn", "churn-3", 7, 40, 1, {})
        worker.broadcast.newest = ModelSnapshot("churn", "churn-9", 8, 90, 1, {})
        body = (await get(f"{await start(worker)}/v1/model"))[1]
        assert (body["model_version"], body["newest_version"]) == ("churn-3", "churn-9")

    async def test_unknown_paths_and_methods_are_refused_in_json(self, two_partitions, start):
        url = await start(FakeWorker(two_partitions))
        status, body, _ = await get(f"{url}/v2")
        assert (status, list(body)) == (404, ["error"])
        async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/status") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


class TestStart:
    async def test_a_taken_port_is_named(self, two_partitions, start):
        url = await start(FakeWorker(two_partitions))
        taken = FakeWorker(two_partitions)
        http = dataclasses.replace(taken.settings.http, http_port=URL(url).port)
        taken.settings = dataclasses.replace(taken.settings, http=http)
        with pytest.raises(ServerError, match=rf"port {URL(url).port}.*--http-port"):
            await Server(taken).start()

    async def test_it_listens_on_the_loopback_address_only_by_default(self, two_partitions, start):
        assert URL(await start(FakeWorker(two_partitions))).host == "127.0.0.1"

    async def test_the_advertised_url_wins_and_the_port_is_open_all_the_same(
        self, two_partitions, start, unused_tcp_port
    ):
        worker = FakeWorker(two_partitions, advertised_url="http://shop-0.keepstream:6066")
        http = dataclasses.replace(worker.settings.http, http_port=unused_tcp_port)
        worker.settings = dataclasses.replace(worker.settings, http=http)
        assert await start(worker) == "http://shop-0.keepstream:6066"
        status, _, _ = await get(f"http://127.0.0.1:{unused_tcp_port}/health/live")
        assert status == 200
