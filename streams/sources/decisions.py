"""Logged decisions out of files: interventions as JSON lines, or an experiment as a table with a header."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from online_models.errors import CorruptStateError
from online_models.evaluation.winback import LoggedDecisions
from online_models.events import Floats
from streams.encode import read
from streams.errors import SourceError
from streams.schemas import Intervention

_MOST_CATEGORIES: Final = 50


def logged_interventions(path: Path) -> LoggedDecisions:
    """Return the decisions of a file of `interventions.v1` whose outcome is known, holdout left out.

    The reward of one is whether the user came back. Each line is such a document, as `keepstream tail
    interventions --raw` prints it.

    Raises
    ------
    SourceError
        If the file cannot be read, or has none of them.
    """
    found: dict[str, Intervention] = {}
    with _opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                document = read(Intervention, line.encode())
            except CorruptStateError as error:
                raise SourceError(f"{path}, line {number}: {error}") from error
            if document.outcome is not None and not document.holdout:
                found[document.id] = document
    documents = list(found.values())
    if not documents:
        raise SourceError(f"{path} holds no decision with an outcome")
    names = sorted({name for document in documents for name in document.context})
    arms = sorted({document.action for document in documents})
    return LoggedDecisions(
        names,
        arms,
        np.array([arms.index(document.action) for document in documents], np.int64),
        np.array([document.propensity for document in documents]),
        np.array([float(d.outcome.returned) for d in documents if d.outcome]),
        np.array([[document.context.get(name, 0.0) for name in names] for document in documents]),
    )


def experiment(
    path: Path, action: str, reward: str, context: Sequence[str], propensity: str | None = None
) -> LoggedDecisions:
    """Return the rows of a randomised experiment as decisions.

    Parameters
    ----------
    path
        A table with commas and a header.
    action, reward
        Columns of what was done, and of what it gave (a number).
    context
        Columns of what was known before. Numbers are scaled to 0 to 1, texts become one entry per value.
    propensity
        Column of the probability of the action; without one, its share of the rows: right where everybody had
        the same chances.

    Raises
    ------
    SourceError
        If the file cannot be read, or lacks a column.
    """
    with _opened(path) as lines:
        rows = list(csv.DictReader(lines))
    if not rows:
        raise SourceError(f"{path} holds no rows")
    for column in (action, reward, *context, *([propensity] if propensity else [])):
        if column not in rows[0]:
            raise SourceError(f"{path} has no column {column!r}; there are {', '.join(rows[0])}")
    names, columns = ["constant"], [np.ones(len(rows))]
    for column in context:
        for name, values in _entries(column, [row[column] for row in rows]).items():
            names.append(name)
            columns.append(values)
    arms, chosen = np.unique([row[action] for row in rows], return_inverse=True)
    shares = np.bincount(chosen) / len(rows)
    given = _numbers(path, propensity, rows) if propensity else shares[chosen]
    return LoggedDecisions(
        names,
        arms.tolist(),
        chosen.astype(np.int64),
        given,
        _numbers(path, reward, rows),
        np.column_stack(columns),
    )


def is_table(path: Path) -> bool:
    """Return whether a file is a table, not JSON lines."""
    with _opened(path) as lines:
        return not lines.readline().lstrip().startswith("{")


def _opened(path: Path) -> Any:
    try:
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error


def _entries(column: str, texts: Sequence[str]) -> dict[str, Floats]:
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        kinds = sorted(set(texts))[:_MOST_CATEGORIES]
        return {f"{column}={kind}": np.array([float(text == kind) for text in texts]) for kind in kinds}
    spread = float(np.ptp(values))
    return {column: (values - values.min()) / spread if spread else np.zeros(len(texts))}


def _numbers(path: Path, column: str, rows: Sequence[Mapping[str, str]]) -> Floats:
    try:
        return np.array([float(row[column]) for row in rows])
    except (ValueError, TypeError):
        raise SourceError(f"{path}: column {column!r} must hold numbers") from None
