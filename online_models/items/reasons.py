"""Why an item is in a list, as a sentence."""

import numpy as np

from online_models.events import Int64s
from online_models.items.evidence import CandidateSettings, weighted_neighbours
from online_models.items.histories import Histories
from online_models.items.slots import BACKWARD, FORWARD, Bools
from online_models.items.source import NeighbourSource

_CHUNK = 32


def explain(
    settings: CandidateSettings, rows: Int64s, histories: Histories, source: NeighbourSource, now_ms: int
) -> list[list[str]]:
    """Return a sentence for every listed item: the strongest of the ways in which it became a candidate.

    Parameters
    ----------
    settings
        The settings with which candidates were gathered.
    rows
        (n, k) listed rows; -1 where there are fewer.
    histories
        The histories of the n users.
    source
        Where the rows belong.
    now_ms
        Present event time, epoch milliseconds.
    """
    told: list[list[str]] = []
    for begin in range(0, len(rows), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        told += _explain_chunk(settings, rows[part], histories.take(part), source, now_ms)
    return told


def _explain_chunk(
    settings: CandidateSettings, rows: Int64s, histories: Histories, source: NeighbourSource, now_ms: int
) -> list[list[str]]:
    touched = source.rows_of(histories.items[:, : settings.positions])
    at, forward = _strongest(settings, rows, touched, source, now_ms)
    steps = _own_steps(rows, touched, histories)
    sources = np.where(at >= 0, touched[np.arange(len(touched))[:, None], at], -1) if touched.size else at
    last = touched[:, 0].tolist() if touched.shape[1] else [-1] * len(touched)
    columns = zip(rows.tolist(), steps.tolist(), sources.tolist(), forward.tolist(), last, strict=True)
    return [
        [
            _sentence(row, step, by, after=after, last=before, source=source)
            for row, step, by, after in zip(listed, own, speaks, direction, strict=True)
            if row >= 0
        ]
        for listed, own, speaks, direction, before in columns
    ]


def _sentence(row: int, steps: int, by: int, *, after: bool, last: int, source: NeighbourSource) -> str:
    if steps:
        return _viewed(steps)
    if by >= 0:
        name = source.item_id(by) or "what you viewed"
        return f"people who viewed {name} next viewed this" if after else f"people viewed this before {name}"
    category = source.category(row)
    alike = category and last >= 0 and source.category(last) == category
    return f"popular in {category}" if alike else "popular now"


def _strongest(
    settings: CandidateSettings, rows: Int64s, touched: Int64s, source: NeighbourSource, now_ms: int
) -> tuple[Int64s, Bools]:
    """Return for each listed row the position of the touch that speaks most for it (-1 = none), and how.

    The second array says whether the row came after that touch (True) or before it.
    """
    near = weighted_neighbours(settings, touched, source, now_ms)
    shape = (*touched.shape, near.partners.shape[1])
    partners = np.full(shape, -1, np.int32)
    partners[near.user, near.position] = near.partners
    weights = np.zeros((2, *shape), np.float32)
    weights[FORWARD, near.user, near.position] = near.weights[:, :, FORWARD] * near.scale[:, None]
    weights[BACKWARD, near.user, near.position] = near.weights[:, :, BACKWARD] * near.scale[:, None]
    flat = (len(touched), 1, -1)
    match = rows.astype(np.int32)[:, :, None] == partners.reshape(flat)
    total = np.where(match, weights.sum(axis=0).reshape(flat), np.float32(0.0))
    if not total.shape[2]:
        return np.full(rows.shape, -1), np.zeros(rows.shape, np.bool_)
    best = total.argmax(axis=2)
    forward = np.take_along_axis(weights[FORWARD].reshape(len(touched), -1), best, axis=1)
    backward = np.take_along_axis(weights[BACKWARD].reshape(len(touched), -1), best, axis=1)
    found = np.take_along_axis(total, best[:, :, None], axis=2)[:, :, 0] > 0.0
    return np.where(found, best // shape[2], -1), forward >= backward


def _own_steps(rows: Int64s, touched: Int64s, histories: Histories) -> Int64s:
    """Return how many touches ago each listed row was touched in this session; 0 where it was not."""
    recent = np.arange(touched.shape[1]) < histories.in_session[:, None]
    own = (rows[:, :, None] == touched[:, None, :]) & recent[:, None, :] & (rows >= 0)[:, :, None]
    steps = np.arange(1, touched.shape[1] + 1)
    nearest: Int64s = np.where(own, steps, touched.shape[1] + 1).min(axis=2, initial=touched.shape[1] + 1)
    return np.where(nearest > touched.shape[1], 0, nearest)


def _viewed(steps: int) -> str:
    if steps == 1:
        return "you just viewed it"
    return "you viewed it 1 touch ago" if steps == 2 else f"you viewed it {steps - 1} touches ago"
