"""What several workers say of themselves, put together."""

from online_models.winback.uplift import Uplift
from streams.api.live import _winback, together
from streams.metrics import Metrics
from streams.schemas import ActionWorth, Counters, LiveSample


def sample(lists=0, quality=None, *, clock=None, winback=()):
    counters = Counters(2, 0, 0, lists, 0, {"not_json": 1}, {"0.5-0.6": 2})
    return LiveSample(5, 1, 1, counters, {"users": 3}, 7, 1, clock, quality or {}, list(winback))


def test_counts_are_summed_and_the_newest_clock_counts():
    found = together([sample(clock=40), sample(), sample(clock=90)])
    assert (found.workers, found.ready, found.users, found.items, found.clock) == (3, 3, 21, 3, 90)
    assert found.counters == Counters(6, 0, 0, 0, 0, {"not_json": 3}, {"0.5-0.6": 6})
    assert found.lag == {"users": 9}


def test_the_quality_of_lists_weighs_as_much_as_their_number():
    ours, popular = "lists_hit_rate@20", "popularity_hit_rate@20"
    found = together([sample(30, {ours: 0.2, popular: 0.1}), sample(10, {ours: 0.6}), sample(0, {ours: 0.9})])
    assert {name: round(value, 9) for name, value in found.lists.items()} == {ours: 0.3, popular: 0.1}


def test_what_win_back_is_worth_is_said_by_the_trainer_s_worker():
    worth = ActionWorth("coupon", 12, 0.5, 0.1, -0.1, 0.3, 4.0)
    assert together([sample(), sample(winback=[worth])]).winback == [worth]


def test_what_is_no_number_yet_is_left_out():
    metrics = Metrics()
    nothing = float("nan")
    metrics.uplift("coupon", Uplift(12, 6, 0.5, 0.1, nothing, nothing, 4.0, 5.0))
    metrics.uplift("holdout", Uplift(9, 3, 0.3, 0.3, 0.1, 0.5, 1.0, 0.0))
    metrics.uplift("push", Uplift(0, 0, nothing, 0.0, 0.0, 0.0, 0.0, 0.0))
    assert _winback(metrics) == [
        ActionWorth("coupon", 12, 0.5, 0.1, None, None, 4.0),
        ActionWorth("holdout", 9, 0.3, None, None, None, None),
    ]
