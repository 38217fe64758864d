"""The sample of touches is uniform, bounded, and the same wherever batches are cut."""

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.items.sampling import TouchSampler

HOUR_MS = 3_600_000


def touches(hours, per_hour, seed=1):
    times = HOUR_MS + np.arange(hours * per_hour) * HOUR_MS // per_hour
    return times, np.random.default_rng(seed).integers(0, 2**63, times.size).astype(np.uint64)


def test_without_a_rate_every_touch_is_taken():
    assert TouchSampler(None).choose(*touches(2, 10)).all()


def test_the_wanted_number_is_taken_and_spread_over_the_hour():
    times, ids = touches(hours=4, per_hour=20_000)
    chosen = TouchSampler(per_second=0.1).choose(times, ids)
    for hour in range(4):
        part = np.flatnonzero(chosen[hour * 20_000 : (hour + 1) * 20_000])
        assert 280 <= part.size <= 360
        assert part.mean() == pytest.approx(10_000, rel=0.12)


def test_no_hour_gives_more_than_the_wanted_number():
    chosen = TouchSampler(per_second=0.01).choose(*touches(hours=1, per_hour=5_000))
    assert np.flatnonzero(chosen).tolist() == list(range(36))


def test_much_in_little_time_gives_no_more_than_is_wanted_in_that_time():
    times = HOUR_MS + np.arange(10_000)
    chosen = TouchSampler(per_second=20).choose(times, touches(1, 10_000)[1])
    assert 100 <= np.count_nonzero(chosen) <= 4 * 60, (
        "in ten seconds, of which four stretches of three have a part"
    )


def test_counts_of_an_earlier_release_tell_the_pace():
    times, ids = touches(hours=1, per_hour=20_000)
    hourly = TouchSampler(per_second=0.1).restore([0, 20_000, 360, 19_000])
    assert 40 <= np.count_nonzero(hourly.choose(times[:3_333], ids[:3_333])) <= 60


@pytest.mark.parametrize("per_second", [0.01, 0.1, 20.0])
def test_another_rate_goes_on_from_where_the_log_is(per_second):
    times, ids = touches(hours=3, per_hour=20_000)
    sampler = TouchSampler(per_second=1.0)
    sampler.choose(times[:20_000], ids[:20_000])
    other = TouchSampler(per_second).restore(sampler.state())
    taken = np.count_nonzero(other.choose(times[20_000:], ids[20_000:]))
    assert taken == pytest.approx(min(7_200 * per_second, 40_000), rel=0.2)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_and_restarts_do_not_matter(size):
    times, ids = touches(hours=3, per_hour=300)
    whole = TouchSampler(per_second=0.02).choose(times, ids)
    parts, sampler = [], TouchSampler(per_second=0.02)
    for start in range(0, times.size, size):
        parts.append(sampler.choose(times[start : start + size], ids[start : start + size]))
        sampler = TouchSampler(per_second=0.02).restore(sampler.state())
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_a_negative_rate_is_refused():
    with pytest.raises(InvalidParameterError, match=r"per_second.*-1"):
        TouchSampler(-1)
