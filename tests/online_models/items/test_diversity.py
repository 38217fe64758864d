"""Properties of what makes lists less monotonous."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.events import hash_id
from online_models.items.diversity import arrange, damping, similarity
from online_models.items.neighbours import NeighbourRow, NeighbourTable
from online_models.items.policy import PolicySettings
from online_models.items.settings import CooccurrenceSettings

NOW = 1_700_000_000_000
ITEMS = 24


def shop(seed):
    rng = np.random.default_rng(seed)
    names = [f"i{n}" for n in range(ITEMS)]
    table = NeighbourTable(CooccurrenceSettings())
    rows = []
    for n, name in enumerate(names):
        partners = [names[p] for p in rng.permutation(ITEMS)[:5] if p != n]
        rows.append(
            NeighbourRow(
                name,
                hash_id(name),
                f"c{rng.integers(0, 4)}" if rng.random() < 0.9 else "",
                5.0,
                float(rng.integers(1, 50)),
                1.0,
                NOW,
                9,
                partners,
                np.array([hash_id(p) for p in partners], np.uint64),
                rng.random((len(partners), 3)).astype(np.float32) * 5,
            )
        )
    table.upsert(rows)
    return table


def ranked(seed, users=3, width=15):
    """Return rankings of some items each, scores falling, the last user's shorter."""
    rng = np.random.default_rng(seed + 1)
    rows = np.stack([rng.permutation(ITEMS)[:width] for _ in range(users)])
    scores = -np.sort(-rng.normal(size=(users, width)), axis=1)
    rows[-1, width // 2 :] = -1
    scores[-1, width // 2 :] = -np.inf
    return rows, scores


def arranged(table, rows, scores, k, **policy):
    codes = np.where(rows >= 0, table.categories(np.maximum(rows, 0)), 0)
    places = arrange(PolicySettings(**policy), rows, scores, codes, table, k=k, now_ms=NOW)
    return np.take_along_axis(rows, places, axis=1), codes


seeds = st.integers(0, 10_000)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_similarity_is_symmetric_between_0_and_1_and_1_with_itself(seed):
    table = shop(seed)
    rows, _ = ranked(seed)
    alike = similarity(rows, table.categories(np.maximum(rows, 0)), table, NOW)
    assert (alike == alike.transpose(0, 2, 1)).all()
    assert ((alike >= 0) & (alike <= 1)).all()
    assert (alike[:, np.arange(15), np.arange(15)] == 1).all()


@given(seeds, st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.integers(1, 15))
@settings(max_examples=60, deadline=None)
def test_a_list_holds_ranked_items_once_each_and_gaps_last(seed, diversity, k):
    table = shop(seed)
    rows, scores = ranked(seed)
    lists, _ = arranged(table, rows, scores, k, diversity=diversity)
    for ranking, listed in zip(rows.tolist(), lists.tolist(), strict=True):
        held = [row for row in listed if row >= 0]
        assert len(set(held)) == len(held) == min(k, sum(row >= 0 for row in ranking))
        assert set(held) <= set(ranking)
        assert listed == held + [-1] * (k - len(held))


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_without_diversity_and_cap_the_ranking_stays(seed):
    table = shop(seed)
    rows, scores = ranked(seed)
    lists, _ = arranged(table, rows, scores, 10, category_share=1.0)
    assert (lists == rows[:, :10]).all()


@given(seeds, st.sampled_from([0.0, 0.3]))
@settings(max_examples=40, deadline=None)
def test_a_category_exceeds_its_share_only_when_nothing_else_is_left(seed, diversity):
    table = shop(seed)
    rows, scores = ranked(seed)
    lists, codes = arranged(table, rows, scores, 8, category_share=0.25, diversity=diversity)
    for ranking, of_item, listed in zip(rows.tolist(), codes.tolist(), lists.tolist(), strict=True):
        code_of = dict(zip(ranking, of_item, strict=True))
        held = [code_of[row] for row in listed if row >= 0]
        # Items within the caps of their categories are all taken before any beyond.
        within = sum(min(2, of_item.count(code)) if code else of_item.count(0) for code in set(of_item))
        within -= ranking.count(-1)
        first = held[: min(within, 8)]
        assert all(first.count(code) <= 2 for code in set(first) if code)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_more_diversity_never_starts_with_another_item_and_lowers_likeness(seed):
    table = shop(seed)
    rows, scores = ranked(seed, users=1, width=12)
    rows, scores = rows[:, :6], scores[:, :6]
    likeness = []
    for strength in (0.0, 0.99):
        lists, _ = arranged(table, rows, scores, 2, category_share=1.0, diversity=strength)
        assert lists[0, 0] == rows[0, 0]
        pair = similarity(lists, table.categories(np.maximum(lists, 0)), table, NOW)[0, 0, 1]
        likeness.append(pair if (lists >= 0).all() else 0.0)
    assert likeness[1] <= likeness[0]


def test_damping_takes_more_off_what_is_more_popular_and_nothing_at_zero():
    table = shop(1)
    rows = np.arange(ITEMS)
    heat = table.heat(rows)[0]
    off = damping(0.5, rows, table, NOW)
    assert (np.diff(off[np.argsort(heat)]) >= 0).all()
    assert not damping(0.0, rows, table, NOW).any()
