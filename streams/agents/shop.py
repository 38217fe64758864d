"""The shop's catalogue and rules on every worker: rows of two compacted topics, taken over or refused."""

import math
from collections.abc import Callable

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import hash_id
from online_models.items.catalogue import CatalogueItem
from online_models.items.rules import Rule
from online_models.items.shop import Shop
from streams.broadcast import Refused, Rows
from streams.encode import read
from streams.schemas import CatalogItem, ListRule


class ShopReader:
    """Keeps a `Shop` as its topics say.

    A row that cannot be read, that stands under another key than its own id, or for which there is no room,
    is refused, and what it would replace stays.

    Parameters
    ----------
    shop
        Is kept current.
    catalogue, rules
        Full names of the topics.
    on_change
        Told when something was taken over.
    """

    def __init__(
        self, shop: Shop, catalogue: str, rules: str, on_change: Callable[[Shop], None] = lambda _: None
    ) -> None:
        self.shop = shop
        self.sinks = {catalogue: self.take_items, rules: self.take_rules}
        self._on_change = on_change

    def take_items(self, rows: Rows) -> list[Refused]:
        """Take items over."""
        refused: list[Refused] = []
        catalogue = self.shop.catalogue
        for place, (key, value) in enumerate(rows):
            try:
                if value is None:
                    catalogue.remove([hash_id(key.decode())])
                elif catalogue.upsert([catalogue_item(key, value)]):
                    refused.append(Refused(place, f"the catalogue is full: {catalogue.max_items} items"))
            except (CorruptStateError, UnicodeDecodeError) as error:
                refused.append(Refused(place, str(error)))
        self._on_change(self.shop)
        return refused

    def take_rules(self, rows: Rows) -> list[Refused]:
        """Take rules over."""
        refused: list[Refused] = []
        for place, (key, value) in enumerate(rows):
            try:
                if value is None:
                    self.shop.rules.remove([key.decode()])
                elif self.shop.rules.upsert([list_rule(key, value)]):
                    refused.append(Refused(place, "there are too many rules"))
            except (CorruptStateError, InvalidParameterError, UnicodeDecodeError) as error:
                refused.append(Refused(place, str(error)))
        self._on_change(self.shop)
        return refused


def catalogue_item(key: bytes, value: bytes) -> CatalogueItem:
    """Return the item that a row describes.

    Raises
    ------
    CorruptStateError
        If it is no `CatalogItem`, or stands under another key than its id.
    """
    document = read(CatalogItem, value)
    _must_be_keyed(key, document.item_id)
    return item_of(document)


def item_of(document: CatalogItem) -> CatalogueItem:
    """Return a document as an item."""
    return CatalogueItem(
        document.item_id,
        hash_id(document.item_id),
        document.category,
        document.brand,
        math.nan if document.price is None else document.price,
        document.available,
        document.since or 0,
    )


def list_rule(key: bytes, value: bytes) -> Rule:
    """Return the rule that a row describes.

    Raises
    ------
    CorruptStateError
        If it is no `ListRule`, or stands under another key than its id.
    InvalidParameterError
        If its parts do not fit each other.
    """
    document = read(ListRule, value)
    _must_be_keyed(key, document.rule_id)
    return rule_of(document)


def rule_of(document: ListRule) -> Rule:
    """Return a document as a rule.

    Raises
    ------
    InvalidParameterError
        If its parts do not fit each other.
    """
    return Rule(
        document.rule_id,
        document.action,
        item_id=document.item_id or "",
        category=document.category or "",
        brand=document.brand or "",
        position=document.position or 0,
        # A boost without factor must not pass as one by 1.
        factor=math.nan if document.action == "boost" and document.factor is None else document.factor or 1.0,
        from_ms=document.valid_from or 0,
        until_ms=document.valid_until or 0,
    )


def _must_be_keyed(key: bytes, own: str) -> None:
    if key != own.encode():
        raise CorruptStateError(f"{own!r} stands under the key {key!r}")
