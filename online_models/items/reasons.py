"""Why an item is in a list, as a sentence."""

import numpy as np

from online_models.events import Int64s
from online_models.items.evidence import CandidateSettings, weighted_neighbours
from online_models.items.grouping import distinct
from online_models.items.histories import Histories
from online_models.items.slots import WEIGHTS, Bools
from online_models.items.source import NeighbourSource

_CHUNK = 64


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
    by, forward = _strongest(settings, rows, touched, source, now_ms)
    steps = _own_steps(rows, touched, histories)
    last = touched[:, 0].tolist() if touched.shape[1] else [-1] * len(touched)
    columns = zip(rows.tolist(), steps.tolist(), by.tolist(), forward.tolist(), last, strict=True)
    return [_sentences(source, *of_user) for of_user in columns]


def _sentences(  # noqa: PLR0917  # columns
    source: NeighbourSource, rows: list[int], steps: list[int], by: list[int], after: list[bool], last: int
) -> list[str]:
    told: list[str] = []
    # Few touches speak for most of a list.
    known: dict[tuple[int, bool], str] = {}
    for row, own, speaks, forward in zip(rows, steps, by, after, strict=True):
        if row < 0:
            continue
        if own:
            told.append(_viewed(own))
        elif speaks < 0:
            told.append(_popular(source, row, last))
        else:
            text = known.get((speaks, forward))
            if text is None:
                text = known[speaks, forward] = _spoken_for(source.item_id(speaks), after=forward)
            told.append(text)
    return told


def _spoken_for(name: str, *, after: bool) -> str:
    name = name or "what you viewed"
    return f"people who viewed {name} next viewed this" if after else f"people viewed this before {name}"


def _popular(source: NeighbourSource, row: int, last: int) -> str:
    category = source.category(row)
    alike = category and last >= 0 and source.category(last) == category
    return f"popular in {category}" if alike else "popular now"


def _strongest(
    settings: CandidateSettings, rows: Int64s, touched: Int64s, source: NeighbourSource, now_ms: int
) -> tuple[Int64s, Bools]:
    """Return for each listed row (n, k) the row of the touch that speaks most for it (-1 = none), and how.

    The second array says whether the listed row came after that touch (True) or before it.
    """
    near = weighted_neighbours(settings, touched, source, now_ms)
    size = max(source.size, 1)
    entry = np.flatnonzero(near.partners >= 0)
    keys = (near.partners + (near.user * size)[:, None]).ravel()[entry]
    listed = np.flatnonzero(rows >= 0)
    wanted = rows.ravel()[listed] + listed // max(rows.shape[1], 1) * size
    groups, group = distinct(np.concatenate((keys, wanted)))
    place = np.full(groups.size, -1)
    place[group[keys.size :]] = listed
    target = place[group[: keys.size]]
    speaking = np.flatnonzero(target >= 0)
    target, entry = target[speaking], entry[speaking]
    touch = entry // max(near.partners.shape[1], 1)
    forward, backward, _ = near.weights.reshape(-1, WEIGHTS)[entry].T
    total = (forward + backward) * near.scale[touch]
    # The strongest comes last of its target's, of equal ones the newest: what is written last stays.
    order = np.lexsort((-entry, total, target))
    order = order[total[order] > 0.0]
    by, after = np.full(rows.size, -1), np.zeros(rows.size, np.bool_)
    by[target[order]] = touched[near.user, near.position][touch[order]]
    after[target[order]] = forward[order] >= backward[order]
    return by.reshape(rows.shape), after.reshape(rows.shape)


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
