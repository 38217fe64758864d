"""Candidates and their features as numpy counts them, for all users at once: the twin of the kernels."""

from typing import NamedTuple

import numpy as np

from online_models.items.features import COLUMN, RANK_FEATURES
from online_models.items.slots import BACKWARD, FORWARD, WEIGHTS
from online_models.items.source import LEAST_HEAT, present_heat

_OWN_SHARE = 4.0
_FAR_SHARE = 0.3
_SUPPORT_SHARE = 1.0
_BASKET_SHARE = 1.0
_MANY = 2**15


def gather(settings, histories, source, now_ms):
    """Return every user's candidates with their features."""
    touched = source.rows_of(histories.items[:, : settings.positions])
    pool = collect(settings, touched, source.rows_of(histories.own.items), source, now_ms)
    popularity = present_heat(source, pool.row, now_ms)
    pool = pool._replace(
        score=pool.score * np.exp2(-settings.partner_power * popularity),
        basket=pool.basket * np.exp2(-0.5 * popularity),
    )
    promise = _promise(pool, popularity, touched.shape[1], histories)
    free = _free(pool, histories, source)
    kept, rank, start = _best(pool.user[free], promise[free], len(histories), settings.kept)
    kept = free[kept]
    found = weigh(pool, kept, histories.in_session, touched.shape[1])
    features = describe(found, rank, touched[:, :1], histories, source, now_ms)
    return start, found.user, found.row, features


def _free(pool, histories, source):
    """Return the candidates that can come next: an event that goes on holds each item once."""
    width = int(histories.in_event.max(initial=0))
    if not width:
        return np.arange(pool.row.size)
    held = np.arange(width) < histories.in_event[:, None]
    rows = source.rows_of(np.where(held, histories.items[:, :width], 0))
    user, place = np.nonzero(rows >= 0)
    return np.flatnonzero(
        ~np.isin(pool.user * source.size + pool.row, user * source.size + rows[user, place])
    )


def _promise(pool, popularity, width, histories):
    """Return (c,) a simple score: pair weights, then what was touched before, then what is popular."""
    promise = np.log1p(100.0 * pool.score) + _FAR_SHARE * np.log1p(100.0 * pool.two_steps)
    promise += _SUPPORT_SHARE * np.log1p(np.bincount(pool.entry_of, minlength=promise.size))
    promise += _BASKET_SHARE * np.log1p(100.0 * pool.basket)
    promise += 1e-4 * popularity
    if width:
        promise += np.bincount(pool.touch_of, 3.0 / (pool.touch % width + 1), promise.size)
    promise[pool.own_of] += _OWN_SHARE * np.log1p(histories.own.counts.ravel()[pool.own])
    return promise.astype(np.float32)


def _best(user, promise, users, count):
    """Return the best `count` candidates of every user in order, each one's place, and where users start."""
    grid, order, begin = _by_user(user, promise, users)
    if grid.shape[1] > count:
        # Few are as good as the last one that is kept: these are put into order, the rest is left alone.
        least = np.partition(grid, grid.shape[1] - count, axis=1)[:, grid.shape[1] - count]
        good = np.flatnonzero(promise >= least[user])
        grid, order, begin = _by_user(user[good], promise[good], users)
        order = good[order]
    best = np.argsort(-grid, axis=1, kind="stable")[:, :count]
    sizes = np.minimum(np.diff(begin), count)
    held = np.arange(best.shape[1]) < sizes[:, None]
    rank = np.broadcast_to(np.arange(best.shape[1]), held.shape)[held]
    return order[(best + begin[:-1, None])[held]], rank, np.concatenate(([0], np.cumsum(sizes)))


def _by_user(user, promise, users):
    """Return a row for each user, filled up with -inf, the candidates in its order, and where each begins."""
    order = np.argsort(user.astype(np.int16) if users < _MANY else user, kind="stable")
    begin = np.concatenate(([0], np.cumsum(np.bincount(user, minlength=users))))
    grid = np.full((users, max(int(np.diff(begin).max(initial=0)), 1)), -np.inf, np.float32)
    owner = user[order]
    grid[owner, np.arange(owner.size) - begin[owner]] = promise[order]
    return grid, order, begin


class WeightedNeighbours(NamedTuple):
    """The partners of users' newest touches."""

    user: object
    position: object
    partners: object
    weights: object
    scale: object
    share_scale: object


class Pool(NamedTuple):
    """Everything that is offered to n users, c candidates in no order, with what speaks for each."""

    user: object
    row: object
    score: object
    basket: object
    two_steps: object
    near: object
    entry: object
    entry_of: object
    touch: object
    touch_of: object
    own: object
    own_of: object


class Evidence(NamedTuple):
    """What speaks for k candidates that are kept."""

    user: object
    row: object
    score: object
    basket: object
    forward: object
    backward: object
    lag1: object
    support: object
    two_steps: object
    own: object
    newest: object
    touches: object


def weighted_neighbours(settings, touched, source, now_ms):
    """Return the partners of touched rows (n, r), newest first, -1 where unknown, with their weights."""
    user, position = np.nonzero(touched >= 0)
    row = touched[user, position]
    near = source.neighbours(row)
    instant = now_ms / source.settings.half_life_ms
    lasting = present_heat(source, row, now_ms)
    decay = np.exp2(near.instant - instant)
    scale = decay * np.exp2(-settings.source_power * lasting) / (position + 1)
    share = decay / (np.exp2(lasting) + 1.0) / np.maximum(position - 1, 1)
    return WeightedNeighbours(user, position, near.partners, near.weights, scale, share)


def collect(settings, touched, own, source, now_ms):
    """Return everything that is offered, candidates for which nothing speaks included."""
    near = weighted_neighbours(settings, touched, source, now_ms)
    size = max(source.size, 1)
    entry = np.flatnonzero(near.partners >= 0)
    entry_keys = (near.partners + (near.user * size)[:, None]).ravel()[entry]
    far_keys, far_share = two_steps(settings, near, source, now_ms)
    (touch, touch_keys), (own_at, own_keys) = _keys(touched, size), _keys(own, size)
    offered = _offered(settings, touched, source)
    keys = np.concatenate((entry_keys, far_keys, touch_keys, own_keys, offered))
    last, group = distinct(keys)
    of_entry, of_far, of_touch, of_own, _ = np.split(
        group, np.cumsum([entry.size, far_keys.size, touch.size, own_at.size])
    )
    user, row = np.divmod(keys[last], size)
    both = (near.weights[:, :, FORWARD] + near.weights[:, :, BACKWARD]) * near.scale[:, None]
    score = _sums(of_entry, both.ravel()[entry], row.size)
    basket = _sums(of_entry, (both * (near.position + 1)[:, None]).ravel()[entry], row.size)
    far = _sums(of_far, far_share, row.size)
    return Pool(user, row, score, basket, far, near, entry, of_entry, touch, of_touch, own_at, of_own)


def weigh(pool, kept, in_session, width):
    """Return what speaks for the candidates that are kept."""
    place = np.full(pool.row.size, -1)
    place[kept] = np.arange(kept.size)
    near = pool.near
    target = place[pool.entry_of]
    listed = np.flatnonzero(target >= 0)
    target, entry = target[listed], pool.entry[listed]
    touch = entry // max(near.partners.shape[1], 1)
    position, share = near.position[touch], near.share_scale[touch]
    forward, backward, lag1 = near.weights.reshape(-1, WEIGHTS)[entry].T.astype(np.float64)
    cell = target * 3 + np.minimum(position, 2)
    newest = np.flatnonzero(position == 0)
    followed = np.zeros(kept.size)
    followed[target[newest]] = lag1[newest]
    # What is not kept has place -1: it is written to the end, which is cut off.
    own = np.full(kept.size + 1, -1)
    own[place[pool.own_of]] = pool.own
    latest, touches = _session(pool, place, kept.size, in_session, width)
    return Evidence(
        user=pool.user[kept],
        row=pool.row[kept],
        score=pool.score[kept],
        basket=pool.basket[kept],
        forward=_sums(cell, forward * share, kept.size * 3).reshape(-1, 3),
        backward=_sums(cell, backward * share, kept.size * 3).reshape(-1, 3),
        lag1=followed,
        support=np.bincount(target, minlength=kept.size),
        two_steps=pool.two_steps[kept],
        own=own[:-1],
        newest=latest,
        touches=touches,
    )


def two_steps(settings, near, source, now_ms):
    """Return the partners' strongest partners and how much speaks for them."""
    size, width = max(source.size, 1), settings.second_partners
    begin = np.flatnonzero(near.position < settings.second_positions)
    partners, weights = near.partners[begin, :width], near.weights[begin, :width]
    share = near.share_scale[begin] / (near.position[begin] + 1)
    speaks = (weights[:, :, FORWARD] + weights[:, :, BACKWARD]) * share[:, None]
    known = np.flatnonzero(partners >= 0)
    middle = partners.ravel()[known]
    owner = near.user[begin][known // max(partners.shape[1], 1)]
    steps = source.neighbours(middle, width)
    instant = now_ms / source.settings.half_life_ms
    touches = np.exp2(present_heat(source, middle, now_ms)) + 1.0
    scale = speaks.ravel()[known] * np.exp2(steps.instant - instant) / touches
    shares = (steps.weights[:, :, FORWARD] + steps.weights[:, :, BACKWARD]) * scale[:, None]
    reached = np.flatnonzero(steps.partners >= 0)
    keys = (steps.partners + (owner * size)[:, None]).ravel()[reached]
    return keys, shares.ravel()[reached]


def _session(pool, place, kept, in_session, width):
    """Return the position of each kept candidate's latest touch in its session, and how many it has there."""
    user, position = np.divmod(pool.touch, max(width, 1))
    target = place[pool.touch_of]
    present = np.flatnonzero((target >= 0) & (position < in_session[user]))
    target, position = target[present], position[present]
    newest = np.full(kept, -1)
    # Newest first: written backwards, the latest touch of an item stays.
    newest[target[::-1]] = position[::-1]
    return newest, np.bincount(target, minlength=kept)


def _keys(rows, size):
    """Return the places of known rows (n, k), flattened, and their keys: user times size plus row."""
    places = np.flatnonzero(rows >= 0)
    return places, rows.ravel()[places] + places // max(rows.shape[1], 1) * size


def _offered(settings, touched, source):
    """Return keys of what is offered by its popularity: in the last item's category, and to everyone."""
    size = max(source.size, 1)
    everyone = np.arange(len(touched))[:, None] * size
    popular = (everyone + source.popular()[: settings.popular]).ravel()
    if not touched.shape[1]:
        return popular
    return np.concatenate((_keys(source.of_same_category(touched[:, 0]), size)[1], popular))


def _sums(group, values, groups):
    """Return the sum of each group, added up in the order given."""
    return np.bincount(group, values, groups).astype(np.float64)


_PERCENT = 100.0


def describe(found, rank, last, histories, source, now_ms):  # noqa: PLR0917
    """Return (c, f) features of candidates."""
    # Column by column in memory; a ranker wants the other order.
    table = np.zeros((len(RANK_FEATURES), found.row.size), np.float32)
    table[:3] = _percent(found.forward.T)
    table[3:6] = _percent(found.backward.T)
    table[COLUMN["two_steps"]] = _percent(found.two_steps)
    table[COLUMN["rank"]] = -0.5 * np.log1p(rank)
    table[COLUMN["support"]] = np.log1p(found.support)
    table[COLUMN["session_length"]] = 0.5 * np.log1p(histories.session_length)[found.user]
    _add_session(table, found)
    if last.shape[1]:
        _add_last(table, found, last[:, 0], source, now_ms)
    _add_own(table, found, histories.own)
    _add_popularity(table, found, source, now_ms)
    lag1 = _percent(found.lag1)
    table[COLUMN["reload_share"]] = lag1 * table[COLUMN["is_last"]]
    table[COLUMN["lag1_share"]] = lag1 * (1.0 - table[COLUMN["is_last"]])
    return np.ascontiguousarray(table.T)


def _percent(share):
    return np.asarray(np.log1p(np.float32(_PERCENT) * share.astype(np.float32)) / np.float32(3.0))


def _add_session(table, found):
    touched = found.newest >= 0
    table[COLUMN["session_recency"]] = touched / np.maximum(found.newest + 1.0, 1.0)
    table[COLUMN["session_count"]] = np.log1p(found.touches)
    table[COLUMN["is_last"]] = found.newest == 0
    table[COLUMN["is_second"]] = found.newest == 1


def _add_own(table, found, own):
    at = np.flatnonzero(found.own >= 0)
    place = found.own[at]
    latest = own.last_s.max(axis=1, initial=0).astype(np.int64)
    age = latest[found.user[at]] - own.last_s.ravel()[place].astype(np.int64)
    table[COLUMN["own"], at] = 1.0
    table[COLUMN["own_count"], at] = np.log1p(own.counts.ravel()[place].astype(np.float64))
    table[COLUMN["own_age"], at] = 0.1 * np.log1p(age)


def _add_popularity(table, found, source, now_ms):
    settings = source.settings
    _, fast = source.heat(found.row)
    log_slow = 0.25 * np.log(2.0) * present_heat(source, found.row, now_ms)
    log_fast = 0.25 * np.log(2.0) * np.maximum(fast - now_ms / settings.lately_half_life_ms, LEAST_HEAT)
    table[COLUMN["log_popularity"]] = log_slow
    table[COLUMN["log_lately"]] = log_fast
    table[COLUMN["trend"]] = log_fast - log_slow
    table[COLUMN["cooccurrence"]] = _percent(found.score)
    table[COLUMN["basket"]] = _percent(found.basket)
    nothing = (found.support == 0) & (found.own < 0) & (found.two_steps == 0) & (found.newest < 0)
    table[COLUMN["fallback_popularity"]] = nothing * log_fast


def _add_last(table, found, last, source, now_ms):
    """Add what the candidate has to do with the last item."""
    known = last >= 0
    safe = np.maximum(last, 0)
    if not source.size:
        return
    popularity = np.where(known, 0.25 * np.log(2.0) * present_heat(source, safe, now_ms), 0.0)
    category = np.where(known, source.categories(safe), 0)[found.user]
    price = np.where(known, source.prices(safe), np.nan)[found.user]
    table[COLUMN["last_popularity"]] = popularity[found.user]
    table[COLUMN["same_category"]] = (category != 0) & (source.categories(found.row) == category)
    theirs = source.prices(found.row)
    both = (price > 0) & (theirs > 0)
    gap = np.zeros(found.row.size)
    gap[both] = np.minimum(np.abs(np.log(theirs[both] / price[both])), 2.0)
    table[COLUMN["price_gap"]] = gap


def distinct(keys):
    """Return the last entry of every distinct key, ascending, and to which of these each entry belongs."""
    _, back, group = np.unique(keys[::-1], return_index=True, return_inverse=True)
    last = keys.size - 1 - back
    order = np.argsort(last)
    return last[order], np.argsort(order)[group][::-1]
