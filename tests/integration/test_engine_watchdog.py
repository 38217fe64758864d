"""The watchdog ends a worker that is stuck, and nobody else."""

import asyncio

import pytest

from streams.engine.watchdog import Watchdog
from streams.errors import StalledError
from tests.integration.bench import counts, only, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def watched(bench):
    """Return a bench, its running worker with 30 records applied, and a watchdog that knows only our time."""
    bench.send(30)
    runtime = await bench.start()
    await until(lambda: runtime.partitions() and only(runtime).position >= 30, "30 records")
    await until(lambda: only(runtime).position == bench.end(), "the end of the log")
    return bench, runtime, Watchdog(runtime, bench.config, runtime.settings)


class TestWatchdog:
    async def test_an_idle_worker_at_the_end_of_its_log_is_left_alone(self, watched):
        _, _, watchdog = watched
        assert [await watchdog.look(now_s) for now_s in (0.0, 500.0, 1_000.0)] == [None] * 3

    async def test_a_partition_that_does_not_follow_its_log_is_noticed(self, watched):
        bench, runtime, watchdog = watched
        runtime._backpressure.wait_for_room = asyncio.Event().wait  # nothing is applied any more
        bench.send(7, first=30)
        stood = only(runtime).position
        await until(lambda: only(runtime).issued_end > stood, "the fetch")
        assert await watchdog.look(0.0) is None
        assert await watchdog.look(5.0) is None, "it may just have begun"
        reason = await watchdog.look(126.0)
        assert reason is not None
        assert f"has stood at {stood} for 121 s while its log goes on to" in reason

    async def test_what_waits_in_the_log_is_told_though_nothing_is_fetched(self, watched):
        bench, runtime, watchdog = watched
        runtime.app.consumer.stop_flow()
        bench.send(7, first=30)
        async with asyncio.timeout(60):
            while counts(runtime).lags.get(only(runtime).source) != 7:  # a fetch may have been under way
                assert await watchdog.look(0.0) is None
                await asyncio.sleep(0.02)

    async def test_records_that_arrive_after_a_long_silence_are_no_standstill(self, watched):
        bench, runtime, watchdog = watched
        assert await watchdog.look(0.0) is None
        assert await watchdog.look(1_000.0) is None
        runtime._backpressure.wait_for_room = asyncio.Event().wait
        bench.send(7, first=30)
        assert await watchdog.look(1_005.0) is None

    async def test_a_worker_that_the_group_does_not_admit_is_noticed(self, watched):
        _, runtime, watchdog = watched
        runtime.freeze()
        assert await watchdog.look(0.0) is None
        assert "has not admitted this worker for 181 s" in str(await watchdog.look(181.0))

    async def test_nothing_is_read_before_the_worker_knows_what_its_handlers_go_by(self, watched):
        bench, runtime, watchdog = watched
        runtime.informed = lambda: False
        bench.send(7, first=30)
        assert runtime.readable() == []
        assert await watchdog.look(0.0) is None
        assert "broadcast topics could not be read for 121 s" in str(await watchdog.look(121.0))
        runtime.informed = lambda: True
        await until(lambda: only(runtime).position == bench.end(), "the end of the log")
        assert await watchdog.look(500.0) is None

    async def test_nobody_is_blamed_while_the_broker_is_away(self, watched):
        _, runtime, _ = watched
        watchdog = Watchdog(runtime, {"bootstrap.servers": "127.0.0.1:1"}, runtime.settings)
        runtime.freeze()
        assert [await watchdog.look(now_s) for now_s in (0.0, 500.0, 510.0)] == [None] * 3

    async def test_a_stuck_worker_ends_with_the_reason(self, bench, monkeypatch):
        monkeypatch.setattr("streams.engine.watchdog._LOOK_S", 0.2)
        runtime = await bench.start(join_deadline_s=1.0)
        await until(lambda: runtime.ready, "readiness")
        runtime.freeze()
        await asyncio.wait_for(runtime.failed.wait(), 30)
        assert isinstance(runtime.failure, StalledError)
