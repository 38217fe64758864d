"""What a shop tells about its items and demands of lists: rows of compacted topics."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from online_models.items.rules import MAX_FACTOR, MAX_POSITION
from streams.schemas.fields import Amount, EpochMs, Id, Label


class CatalogItem(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One item as the shop describes it, under its id as key; without a value the item is gone.

    Fields that are not listed are ignored.
    """

    item_id: Annotated[
        Id, Meta(description="The shop's id of the item, as in events.", examples=["sku-1042"])
    ]
    category: Annotated[
        Label, Meta(description="Category; lists limit its repetition.", examples=["Shoes"])
    ] = ""
    brand: Annotated[Label, Meta(description="Brand.", examples=["Acme"])] = ""
    price: Annotated[Amount, Meta(description="Price per unit.", examples=[89.95])] | None = None
    available: Annotated[
        bool, Meta(description="Whether it can be bought at present; if not, no list holds it.")
    ] = True
    title: Annotated[str, Meta(max_length=512, description="Name for people; workers do not keep it.")] = ""
    since: (
        Annotated[EpochMs, Meta(description="From when on it is sold; of new items the latest come first.")]
        | None
    ) = None


class ListRule(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A demand on every list, under its id as key; without a value the rule is gone.

    It is about one of item, category and brand; a pin is about an item.
    """

    rule_id: Annotated[Id, Meta(description="Name of the rule.", examples=["summer-sale"])]
    action: Annotated[
        Literal["pin", "block", "boost"],
        Meta(
            description="`pin` puts an item at a place of every list, `block` leaves out, `boost` multiplies "
            "the odds of candidates."
        ),
    ]
    item_id: Annotated[Id, Meta(description="The item.", examples=["sku-1042"])] | None = None
    category: Annotated[Label, Meta(min_length=1, description="The category.")] | None = None
    brand: Annotated[Label, Meta(min_length=1, description="The brand.")] | None = None
    position: (
        Annotated[int, Meta(ge=1, le=MAX_POSITION, description="Of a pin: the place, from 1.")] | None
    ) = None
    factor: (
        Annotated[
            float,
            Meta(
                ge=1 / MAX_FACTOR,
                le=MAX_FACTOR,
                description="Of a boost: above 1 moves up, below 1 down.",
                examples=[2.0],
            ),
        ]
        | None
    ) = None
    valid_from: (
        Annotated[EpochMs, Meta(description="Begin, in event time; else it holds at once.")] | None
    ) = None
    valid_until: Annotated[EpochMs, Meta(description="End, in event time; else it never ends.")] | None = None
    note: Annotated[Label, Meta(description="Why there is this rule, for people.")] = ""
