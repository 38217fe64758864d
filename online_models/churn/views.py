"""Rows of users as others see them: a view for lookups, histories for recommendations."""

from typing import Any

import numpy as np

from online_models.churn.effects import UserView
from online_models.churn.rows import Rows
from online_models.events import EVENT_NAMES
from online_models.items.histories import Histories
from online_models.items.own_items import OwnItems


def view_of(subject: str, row: Any, pending_labels: list[int]) -> UserView:
    """Return what is known of one user.

    Parameters
    ----------
    subject
        The user, with its prefix.
    row
        The user's row.
    pending_labels
        Times of the landmarks whose label is not final yet, epoch milliseconds.
    """
    counts = zip(EVENT_NAMES, row["event_counts"].tolist(), strict=True)
    return UserView(
        subject=subject,
        event_counts={name: count for name, count in counts if count},
        first_ms=int(row["first_ms"]),
        last_ms=int(row["last_ms"]),
        sessions=int(row["sessions"]),
        session_start_ms=int(row["session_start_ms"]),
        session_touches=int(row["session_touches"]),
        recent=[value for value in row["recent"].tolist() if value],
        bought=[value for value in row["bought"].tolist() if value],
        spend=float(row["spend"]),
        cart_items=max(int(row["cart_items"]), 0),
        score=float(row["score"]),
        score_ms=int(row["score_ms"]),
        score_version=int(row["score_version"]),
        alert_ms=int(row["alert_ms"]),
        pending_labels=pending_labels,
    )


def histories_of(rows: Rows, own: OwnItems) -> Histories:
    """Return the recent touches and purchases of (n,) users' rows, as copies, with their (n, k) own items."""
    touched = rows["session_touches"].astype(np.int64)
    return Histories(
        items=rows["recent"].copy(),
        in_session=np.minimum(touched, rows["recent"].shape[1]),
        session_length=touched,
        bought=rows["bought"].copy(),
        bought_ms=rows["bought_ms"].copy(),
        own=own,
        in_event=np.zeros(rows.size, np.int64),
    )
