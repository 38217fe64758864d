"""Kernels give what their numpy twins give: candidates in the same order, features to single precision."""

import numpy as np
import pytest

from online_models.items.candidates import gather
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.direct import DirectNeighbours
from online_models.items.diversity import arrange
from online_models.items.evidence import CandidateSettings, weighted_neighbours
from online_models.items.histories import Histories
from online_models.items.neighbours import NeighbourTable
from online_models.items.own_items import OwnItems
from online_models.items.policy import PolicySettings, excluded
from online_models.items.reasons import explain
from online_models.items.recommender import best_places
from online_models.items.settings import CooccurrenceSettings
from online_models.items.slots import BACKWARD, FORWARD
from tests.online_models.items import numpy_candidates
from tests.online_models.items.test_neighbours import CATEGORIES, NOW
from tests.online_models.items.workload import DAY_MS, cut, item_hash, log_of, random_touches

AT = NOW + 6 * DAY_MS
SETTINGS = (
    CandidateSettings(),
    CandidateSettings(kept=5, popular=3, positions=3),
    CandidateSettings(kept=1, popular=0, second_positions=0),
    CandidateSettings(kept=500, second_partners=1, partner_power=0.0),
)


@pytest.fixture(scope="module")
def sources():
    """Return an items' store and the table that its broadcast makes, and a table that is empty."""
    every_change = CooccurrenceSettings(slots=8, published_partners=8, publish_growth=0.0)
    store, table = CooccurrenceStore(every_change), NeighbourTable(every_change)
    for piece in cut(log_of(random_touches(3, 400, span_ms=5 * DAY_MS), categories=CATEGORIES), 50):
        store.apply(piece)
        table.upsert(store.publish())
    return DirectNeighbours(store), table, NeighbourTable(every_change)


def histories_of(random, hashes, users, width):
    """Return users who touched, own and are in the middle of an event with known and unknown items."""
    items = random.choice(hashes, (users, width))
    length = random.integers(0, width + 1, users)
    items[np.arange(width) >= length[:, None]] = 0
    own = np.zeros((users, 6), np.uint64)
    for held in own:
        count = random.integers(0, 7)
        held[:count] = random.choice(hashes, count, replace=False)
    bought = random.choice(hashes, (users, 3)) * (random.random((users, 3)) < 0.5)
    return Histories(
        items,
        random.integers(0, length + 1),
        length + random.integers(0, 3, users),
        bought,
        np.where(bought > 0, AT - random.integers(0, 30, (users, 3)) * DAY_MS, 0),
        OwnItems(
            own,
            np.where(own > 0, random.integers(1, 9, own.shape), 0).astype(np.uint16),
            np.where(own > 0, random.integers(1, 10**6, own.shape), 0).astype(np.uint32),
        ),
        random.integers(0, length + 1) * (random.random(users) < 0.3),
    )


def items_of(source, unknown=2):
    known = source.hashes(np.arange(source.size))
    return np.concatenate((known[known > 0], [np.uint64(item_hash(f"none{n}")) for n in range(unknown + 20)]))


@pytest.mark.parametrize("seed", range(12))
def test_candidates_are_those_of_the_twin_in_the_same_order(sources, seed):
    random = np.random.default_rng(seed)
    settings = SETTINGS[seed % len(SETTINGS)]
    for source in sources:
        histories = histories_of(
            random, items_of(source), (0, 1, 3, 40)[seed % 4 - 1], (0, 1, 4, 12)[seed // 3]
        )
        found = gather(settings, histories, source, AT)
        start, user, row, features = numpy_candidates.gather(settings, histories, source, AT)
        assert found.start.tolist() == start.tolist()
        assert found.user.tolist() == user.tolist()
        assert found.row.tolist() == row.tolist()
        np.testing.assert_allclose(found.features, features, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_what_was_bought_or_is_looked_at_is_left_out_and_nothing_else(sources, seed):
    random = np.random.default_rng(seed)
    for source in sources[:2]:
        histories = histories_of(random, items_of(source), 9, (0, 1, 6, 12)[seed % 4])
        found = gather(CandidateSettings(), histories, source, AT)
        out = excluded(PolicySettings(), found, histories, source, AT)
        hashes = source.hashes(found.row)
        for one, user in enumerate(found.user.tolist()):
            lately = histories.bought_ms[user] > AT - 14 * DAY_MS
            looks = histories.items.shape[1] and histories.in_session[user] and histories.items[user, 0]
            assert out[one] == (hashes[one] in histories.bought[user][lately] or hashes[one] == looks)


def reason_of(source, histories, user, item, near):
    """Return why an item is in the list of a user, straight from the partners of the newest touches."""
    touched = source.rows_of(histories.items[:, :10])[user].tolist()
    session = touched[: histories.in_session[user]]
    if item in session:
        ago = session.index(item)
        return "you just viewed it" if not ago else f"you viewed it {ago} touch{'es' if ago > 1 else ''} ago"
    best, told = 0.0, None
    for touch in np.flatnonzero(near.user == user).tolist():
        for partner, weights in zip(near.partners[touch].tolist(), near.weights[touch], strict=True):
            total = float(weights[FORWARD] + weights[BACKWARD]) * near.scale[touch]
            if partner == item and total > best:
                name = source.item_id(touched[near.position[touch]])
                best, told = total, f"people viewed this before {name}"
                if weights[FORWARD] >= weights[BACKWARD]:
                    told = f"people who viewed {name} next viewed this"
    category = source.category(item)
    alike = category and touched and touched[0] >= 0 and source.category(touched[0]) == category
    return told or (f"popular in {category}" if alike else "popular now")


@pytest.mark.parametrize("seed", range(4))
def test_reasons_name_the_touch_that_speaks_most(sources, seed):
    random = np.random.default_rng(seed)
    for source in sources[:2]:
        histories = histories_of(random, items_of(source), 5, (0, 1, 6, 12)[seed])
        found = gather(CandidateSettings(), histories, source, AT)
        places = best_places(found.start, random.random(found.row.size), 20)
        names = [[source.item_id(found.row[one]) for one in row if one >= 0] for row in places.tolist()]
        near = weighted_neighbours(CandidateSettings(), source.rows_of(histories.items[:, :10]), source, AT)
        told = explain(found, places, names, source)
        for user, row in enumerate(places.tolist()):
            wanted = [
                reason_of(source, histories, user, int(found.row[one]), near) for one in row if one >= 0
            ]
            assert told[user] == wanted


@pytest.mark.parametrize("k", [1, 3, 8, 50])
def test_the_best_places_are_those_of_a_stable_sort(k):
    random = np.random.default_rng(k)
    start = np.concatenate(([0], np.cumsum(random.integers(0, 30, 40))))
    scores = random.choice([-np.inf, 0.0, 0.5, 1.0, np.nan, -3.0], start[-1])
    scores[::3] = random.random(scores[::3].size)
    found = best_places(start, scores, k)
    for user, row in enumerate(found.tolist()):
        whole = [one for one in range(start[user], start[user + 1]) if scores[one] > -np.inf]
        best = sorted(whole, key=lambda one: -scores[one])[:k]
        assert row == best + [-1] * (k - len(best))


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_what_exceeds_the_share_of_its_category_moves_behind_everything_else(sources, share):
    random = np.random.default_rng(int(10 * share))
    rows = np.arange(30)[None, :] + np.zeros((20, 1), np.int64)
    rows[np.arange(30) >= random.integers(0, 31, 20)[:, None]] = -1
    categories = np.where(rows >= 0, random.integers(0, 4, rows.shape), 0)
    found = arrange(
        PolicySettings(category_share=share), rows, -rows * 1.0, categories, sources[1], k=10, now_ms=AT
    )
    cap = int(np.ceil(10 * share))
    for user, codes in enumerate(categories.tolist()):
        earlier = [code and codes[:place].count(code) >= cap for place, code in enumerate(codes)]
        turn = [2 if rows[user, place] < 0 else bool(over) for place, over in enumerate(earlier)]
        assert found[user].tolist() == sorted(range(30), key=turn.__getitem__)[:10]
