"""The kernels that count touches and pairs against the same in numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.counting import category_codes
from online_models.items.settings import CooccurrenceSettings
from tests.online_models.items.workload import DAY_MS, log_of, random_touches

SETTINGS = CooccurrenceSettings(slots=64, published_partners=3, half_life_ms=3 * DAY_MS, state_ttl_ms=10**15)
STEPS = (32, 256)


def grown(time, half_life_ms, epoch):
    whole, rest = np.divmod(time, half_life_ms)
    return np.ldexp(np.exp2(rest / half_life_ms), (whole - epoch).astype(np.int32))


def counted_in_numpy(batch):
    """Return {hash: (touches, last_ms, popularity, lately, price, category, {partner: weights})}."""
    half_lives = (SETTINGS.half_life_ms, SETTINGS.lately_half_life_ms)
    codes, found = category_codes(batch.categories), {}
    for item in np.unique(np.concatenate((batch.touch_item, batch.owner))):
        touched, owned = batch.touch_item == item, batch.owner == item
        last = max(batch.touch_time[touched].max(initial=0), batch.time[owned].max(initial=0))
        epochs = [last // (half * step) * step for half, step in zip(half_lives, STEPS, strict=True)]
        sums = [
            grown(batch.touch_time[touched], half, epoch).sum()
            for half, epoch in zip(half_lives, epochs, strict=True)
        ]
        prices = batch.touch_price[touched]
        prices = prices[~np.isnan(prices)]
        category = codes[batch.touch_category[touched]]
        category = category[category != 0]
        distance = batch.distance[owned].astype(np.int64)
        amount = grown(batch.time[owned], half_lives[0], epochs[0]) * batch.weight[owned] / np.abs(distance)
        partners = batch.hashes[batch.partner[owned]]
        weights = {
            int(one): [
                float(amount[(partners == one) & kind].sum())
                for kind in (distance > 0, distance < 0, distance == 1)
            ]
            for one in np.unique(partners)
        }
        of_item = (prices[-1] if prices.size else np.nan, category[-1] if category.size else 0)
        found[int(batch.hashes[item])] = (touched.sum(), last, *sums, *of_item, weights)
    return found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([1, 4, 40]), st.sampled_from([3, 900]), st.integers(1, 90))
def test_rows_hold_what_numpy_sums_up(seed, items, days, touches):
    rng = np.random.default_rng(seed)
    log = log_of(
        random_touches(seed, touches, items=items, span_ms=days * DAY_MS),
        categories={f"item-{n}": ("", "toys", "books")[n % 3] for n in range(items)},
    )
    log.touch_price[:] = np.where(rng.random(touches) < 0.5, np.nan, rng.random(touches))
    store = CooccurrenceStore(SETTINGS)
    store.apply(log)
    expected = counted_in_numpy(log)
    assert len(store) == len(expected)
    for item, (count, last_ms, popularity, lately, price, category, weights) in expected.items():
        row = store.row_of(item)
        held = store.rows[row]
        assert (held["touches"], held["last_ms"], held["category"]) == (count, last_ms, category)
        assert held["popularity"] == pytest.approx(popularity, rel=1e-12)
        assert held["lately"] == pytest.approx(lately, rel=1e-12)
        assert held["price"] == pytest.approx(price, nan_ok=True)
        used = held["used"]
        taken = store.slots.take(np.array([row]), np.array([used]))
        partners, sums = (column[0, :used].tolist() for column in taken)
        assert dict(zip(partners, sums, strict=True)) == {
            partner: pytest.approx(sum_, rel=1e-5) for partner, sum_ in weights.items()
        }
