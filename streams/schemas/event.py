"""The input event: flat JSON with the names of GA4's e-commerce events."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from streams.schemas.fields import EARLIEST_MS, LATEST_MS, MAX_ITEMS, Amount, EventId, Id, Label, Name

_RFC_3339: Final = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})$"
_Time = (
    Annotated[int, Meta(ge=EARLIEST_MS, lt=LATEST_MS)]
    | Annotated[datetime, Meta(tz=True, extra_json_schema={"pattern": _RFC_3339})]
)


class Item(msgspec.Struct, frozen=True, gc=False):
    """One item of an event; items with the same `item_id` are merged."""

    item_id: Annotated[Id, Meta(description="The shop's id of the item.", examples=["sku-1042"])]
    item_category: (
        Annotated[Label, Meta(description="Category; lists limit its repetition.", examples=["Shoes"])] | None
    ) = None
    item_brand: Annotated[Label, Meta(description="Brand.", examples=["Acme"])] | None = None
    price: Annotated[Amount, Meta(description="Price per unit.", examples=[89.95])] | None = None
    quantity: Annotated[Amount, Meta(description="Units; 1 where missing.", examples=[1])] | None = None


class Event(msgspec.Struct, frozen=True, gc=False):
    """One thing that a visitor, a customer or the shop did.

    Fields that are not listed are ignored; an optional field that is null counts as missing.
    """

    event_id: Annotated[
        EventId,
        Meta(
            description="Unique id; repeated ids are dropped within the dedupe window.", examples=["e-7f3a"]
        ),
    ]
    event_name: Annotated[
        Name,
        Meta(description="What happened; unknown names count as plain activity.", examples=["view_item"]),
    ]
    event_time: Annotated[
        _Time,
        Meta(
            description="When it happened: RFC 3339 with a time zone, or integer epoch milliseconds.",
            examples=["2026-03-01T10:15:00.250Z", 1772360100250],
        ),
    ]
    user_id: (
        Annotated[Id, Meta(description="The customer. Wins over `anonymous_id`.", examples=["c-4711"])] | None
    ) = None
    anonymous_id: (
        Annotated[Id, Meta(description="The visitor, where no customer is known.", examples=["dev-91ab"])]
        | None
    ) = None
    session_id: (
        Annotated[
            Id,
            Meta(description="The producer's session; else sessions are cut by silence.", examples=["s-1"]),
        ]
        | None
    ) = None
    items: (
        Annotated[list[Item], Meta(max_length=MAX_ITEMS, description="The items that the event is about.")]
        | None
    ) = None
    item_id: (
        Annotated[Id, Meta(description="A single item; read when `items` is missing or empty.")] | None
    ) = None
    item_category: Annotated[Label, Meta(description="Category of the single item.")] | None = None
    item_brand: Annotated[Label, Meta(description="Brand of the single item.")] | None = None
    price: Annotated[Amount, Meta(description="Price per unit of the single item.")] | None = None
    quantity: Annotated[Amount, Meta(description="Units of the single item; 1 where missing.")] | None = None
    value: (
        Annotated[
            Amount, Meta(description="Value of the event; positive for a refund too.", examples=[89.95])
        ]
        | None
    ) = None
    currency: (
        Annotated[
            str,
            Meta(
                min_length=3,
                max_length=3,
                description="ISO 4217 code of `value` and of the prices: three capital letters.",
                examples=["EUR"],
                extra_json_schema={"pattern": "^[A-Z]{3}$"},
            ),
        ]
        | None
    ) = None
    search_term: (
        Annotated[str, Meta(max_length=512, description="What was searched for.", examples=["trail shoes"])]
        | None
    ) = None
    rating: Annotated[float, Meta(ge=1.0, le=5.0, description="Rating, 1 to 5.", examples=[4])] | None = None
    text: (
        Annotated[str, Meta(max_length=20_000, description="Text of a review or a support message.")] | None
    ) = None
    recommendation_id: (
        Annotated[
            Name,
            Meta(
                description="The `id` of the recommendation that was shown or followed.", examples=["3-1042"]
            ),
        ]
        | None
    ) = None
    properties: (
        Annotated[
            dict[str, msgspec.Raw], Meta(description="Whatever else the producer wants to keep with it.")
        ]
        | None
    ) = None
