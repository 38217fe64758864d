"""An item's broadcast row as the document on the topic, and back."""

import math

import numpy as np

from online_models.errors import CorruptStateError
from online_models.events import hash_id, hash_ids
from online_models.items.neighbours import NeighbourRow
from streams.schemas import ItemNeighbours, Partner


def document_of(row: NeighbourRow) -> ItemNeighbours:
    """Return the document of a row; hashes are written only where the id of a partner is not known.

    >>> document_of(NeighbourRow("sku-1", 7, "", float("nan"), 1.5, 0.5, 9, 2)).price is None
    True
    """
    weights = row.weights.tolist()
    return ItemNeighbours(
        item_id=row.item_id,
        event_time=row.time_ms,
        touches=row.touches,
        popularity=row.popularity,
        lately=row.lately,
        partners=[Partner(name, *three) for name, three in zip(row.partner_ids, weights, strict=True)],
        category=row.category,
        price=None if math.isnan(row.price) else row.price,
        hashes=None if all(row.partner_ids) else [f"{one:016x}" for one in row.partner_hashes.tolist()],
    )


def row_of(document: ItemNeighbours) -> NeighbourRow:
    """Return the row that a document describes.

    Raises
    ------
    CorruptStateError
        If its hashes do not fit its partners.
    """
    names = [partner.item_id for partner in document.partners]
    hashes = hash_ids(names)
    if document.hashes is not None:
        try:
            hashes = np.array([int(text, 16) for text in document.hashes], np.uint64)
        except (ValueError, OverflowError) as error:
            raise CorruptStateError(f"item {document.item_id!r}: {error}") from error
    if hashes.size != len(names) or not hashes.all():
        raise CorruptStateError(f"item {document.item_id!r}: hashes do not fit {len(names)} partners")
    weights = [(partner.forward, partner.backward, partner.lag1) for partner in document.partners]
    return NeighbourRow(
        item_id=document.item_id,
        item_hash=hash_id(document.item_id),
        category=document.category,
        price=math.nan if document.price is None else document.price,
        popularity=document.popularity,
        lately=document.lately,
        time_ms=document.event_time,
        touches=document.touches,
        partner_ids=names,
        partner_hashes=hashes,
        weights=np.array(weights, np.float32).reshape(-1, 3),
    )
