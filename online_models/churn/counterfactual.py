"""What a user would be like had they bought something this moment: the purchase is really applied."""

from typing import Final

import numpy as np

from online_models.churn.ingest import apply_events
from online_models.churn.rows import Rows
from online_models.churn.settings import UserSettings
from online_models.events import KIND, EventBatch
from online_models.items.own_items import OwnMemory
from online_models.items.sampling import TouchSampler
from online_models.ragged import RaggedColumns

_PURCHASE: Final = KIND["purchase"]


def after_purchase(rows: Rows, now_ms: int, settings: UserSettings) -> Rows:
    """Return n users as they would be after one purchase each, of their usual value and of no known item.

    Parameters
    ----------
    rows
        (n,) rows of the users; left as they are.
    now_ms
        Time of the purchase, epoch milliseconds, not before the users' last activity.
    settings
        Session gap and sizes.
    """
    count = len(rows)
    bought = rows.copy()
    orders = rows["event_counts"][:, _PURCHASE].astype(np.float64)
    nothing = np.zeros(count, np.uint64)
    purchases = EventBatch(
        subject=[""] * count,
        event_id=nothing,
        kind=np.full(count, _PURCHASE, np.int8),
        time=np.full(count, now_ms),
        offset=np.zeros(count, np.int64),
        session=nothing,
        value=rows["spend"] / np.maximum(orders, 1),
        rating=np.full(count, np.nan),
        item_start=np.zeros(count + 1, np.int64),
        item=[],
        item_hash=np.zeros(0, np.uint64),
        category=[],
        price=np.zeros(0),
        quantity=np.zeros(0),
    )
    everyone, muted = np.arange(count), np.zeros(count, np.bool_)
    untouched = OwnMemory(RaggedColumns({}, 0, 0), everyone)
    sampler, nowhere = TouchSampler(0), np.zeros(0, np.int64)
    apply_events(
        bought, untouched, everyone, purchases, everyone, settings, now_ms + 1, sampler, muted, nowhere
    )
    return bought
