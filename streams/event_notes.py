"""Words of docs/events.md that belong to names in the code, so that a new name cannot be left out."""

from typing import Final

EVENT_NOTES: Final = {
    "view_item_list": "A list was shown. Seeing it is activity; its items are not touched by it.",
    "select_item": "An item was chosen from a list.",
    "view_item": "The page of an item was opened.",
    "search": "A search; `search_term` says for what.",
    "add_to_wishlist": "Items were noted for later.",
    "add_to_cart": "Items were put into the cart.",
    "remove_from_cart": "Items were taken out of the cart.",
    "view_cart": "The cart was looked at.",
    "begin_checkout": "The checkout was entered.",
    "add_payment_info": "A means of payment was given.",
    "purchase": "Items were bought; `value` adds to the spend, and they leave the lists for a while.",
    "refund": "Money went back.",
    "login": "The customer logged in.",
    "sign_up": "The customer opened an account.",
    "review_submitted": "A review, with `rating` and `text`.",
    "support_message": "A message to the shop, with `text`.",
    "recommendation_shown": "The shop showed a list: its `items`, in the order in which they were shown, "
    "and `recommendation_id`. Touches of them count less for the ranker.",
    "intervention_sent": "The shop sent a win-back message.",
    "intervention_opened": "The customer opened it.",
    "intervention_redeemed": "The customer used what it offered.",
    "user_erased": "Everything known of the user is forgotten, whatever its `event_time`.",
    "other": "Any name that is not listed; counted as `other`.",
}
"""What each event name does, beyond being a touch or activity."""

HEADER_NOTES: Final = {
    "error.reason": "One of the reasons above.",
    "error.message": "What exactly is wrong; field names, never their content.",
    "error.topic": "Topic in which the record lies.",
    "error.partition": "Its partition.",
    "error.offset": "Its offset.",
    "error.timestamp": "Its broker timestamp, epoch milliseconds.",
    "error.traceback": "Where the exception came from, its last 8,000 characters; with `poison` only.",
    "error.null": "Which of its key and value were null: `key`, `value` or `key,value`; they are empty bytes "
    "here. Missing where neither was.",
}

BAD_EVENTS: Final = (
    '{"event_id": "e1", "event_name": "login", "event_time": 1772360100250, "user_id": "c-1"',
    '[{"event_id": "e1"}]',
    '{"event_name": "login", "event_time": 1772360100250, "user_id": "c-1"}',
    '{"event_id": "e1", "event_name": "login", "event_time": 1772360100250, "user_id": 4711}',
    '{"event_id": "e1", "event_name": "login", "event_time": 1772360100250, "user_id": ""}',
    '{"event_id": "e1", "event_name": "login", "event_time": 1772360100250}',
    '{"event_id": "e1", "event_name": "login", "event_time": 1772360100, "user_id": "c-1"}',
    '{"event_id": "e1", "event_name": "login", "event_time": "2026-03-01T10:15:00", "user_id": "c-1"}',
    '{"event_id": "e1", "event_name": "login", "event_time": "2026-03-01T10:25:00Z", "user_id": "c-1"}',
    '{"event_id": "e1", "event_name": "login", "event_time": "2026-03-01T08:15:00Z", "user_id": "c-1"}',
    '{"event_id": "e1", "event_name": "refund", "event_time": 1772360100250, "user_id": "c-1", "value": -5}',
    '{"event_id": "e", "event_name": "login", "event_time": 1772360100250, "user_id": "c", "currency": "€"}',
    '{"event_id": "e1", "event_name": "login", "event_time": 1772360100250, "user_id": "a", "user_id": "b"}',
)
"""Bad events that the page shows with the verdict they really get."""
