"""The guard against stages that grow: what it lets through and what it does not."""

import json

from benchmarks import guard, staged
from benchmarks.guard import grown
from benchmarks.one_process import OneProcess
from benchmarks.workload import Workload, event_ms
from streams import topics
from streams.engine.handler import Record
from streams.settings import load

BASELINE = {"decode": 1.0, "lists": 5.0, "tiny": 0.01}


class TestGrown:
    def test_growth_by_a_fifth_is_let_through(self):
        assert grown({"decode": 1.2, "lists": 5.9, "tiny": 0.01}, BASELINE) == []

    def test_one_stage_that_grows_is_named(self):
        (line,) = grown({"decode": 1.3, "lists": 5.0, "tiny": 0.01}, BASELINE)
        assert line.startswith("decode: 1.300")

    def test_a_stage_that_weighs_nothing_is_not_judged_alone(self):
        assert grown({"decode": 1.0, "lists": 5.0, "tiny": 0.03}, BASELINE) == []

    def test_many_stages_that_grow_a_little_are_noticed_together(self):
        lines = grown({"decode": 1.15, "lists": 5.9, "tiny": 0.5}, BASELINE)
        assert any(line.startswith("all stages") for line in lines)

    def test_a_new_stage_is_noticed_and_one_that_is_gone_is_not(self):
        assert any("no baseline" in line for line in grown(BASELINE | {"new": 0.5}, BASELINE))
        assert grown({"lists": 5.0, "decode": 1.0}, BASELINE) == []


class TestBaseline:
    def test_it_knows_the_stages_that_are_watched_and_no_others(self):
        recorded = set(json.loads(guard.BASELINE.read_text()))
        watched = {stage for _, _, stage in staged.STAGES} | {"the rest"}
        assert recorded <= watched


class TestOneProcess:
    def test_everything_that_the_guard_counts_is_at_work(self):
        shop = OneProcess(load(environ={}))
        records = Workload(events=300, users=30, items=20, history=300, days=40.0).records()
        log = [Record(n, event_ms(value) + 1, key, value) for n, (key, value) in enumerate(records)]
        produced = {one.topic for start in range(0, 600, 100) for one in shop.apply(log[start : start + 100])}
        settings = load(environ={})
        for topic in (
            topics.RECOMMENDATIONS,
            topics.ITEM_PAIRS,
            topics.EXAMPLES,
            topics.RANK_EXAMPLES,
            topics.NEIGHBOURS,
        ):
            assert topic.full_name(settings) in produced
        assert topics.DEAD_LETTERS.full_name(settings) not in produced
        assert shop.checkpoint() > 0
