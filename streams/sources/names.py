"""What shops and trackers call their events, in GA4's words."""

from functools import lru_cache
from typing import Final

from streams.sources.head import plain

_ALIASES: Final = {
    "view_item": "view viewed click clicks clicked detail details item_view view_product product_view"
    " product_viewed product_page pdp page_view_product",
    "view_item_list": "list item_list product_list product_list_viewed category_view plp",
    "select_item": "product_clicked select item_click",
    "search": "search query view_search_results products_searched",
    "add_to_wishlist": "wishlist favorite favourite product_added_to_wishlist add_to_favorites fav",
    "add_to_cart": "addtocart cart carts basket product_added cart_add add_to_basket",
    "remove_from_cart": "removefromcart product_removed cart_remove",
    "view_cart": "cart_viewed cart_view cart_page",
    "begin_checkout": "checkout checkout_started",
    "add_payment_info": "payment_info_entered payment payment_choice",
    "purchase": "buy buys bought order orders ordered transaction order_completed payment_done sale",
    "refund": "order_refunded return returned refunded",
    "login": "signed_in sign_in log_in",
    "sign_up": "signed_up signup register registered registration",
    "review_submitted": "product_reviewed review",
    "support_message": "support ticket support_ticket",
}

_NAMES: Final = {
    plain(alias): name for name, aliases in _ALIASES.items() for alias in (name, *aliases.split())
}


@lru_cache(maxsize=4096)
def event_name(name: str) -> str:
    """Return GA4's name of an event; a name that is not known stays, and counts as plain activity.

    >>> event_name("addtocart"), event_name("Order Completed"), event_name("scroll")
    ('add_to_cart', 'purchase', 'scroll')
    """
    return _NAMES.get(plain(name), name)
