"""The features of the churn model, in one fixed order, from user rows and a time."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from online_models.churn.bgnbd import log_odds_of_silence
from online_models.churn.rows import DECAYED, HALF_LIVES_DAYS, Rows, decayed_at
from online_models.churn.settings import DAY_MS, UserSettings
from online_models.events import KIND, Floats

FEATURES_VERSION: Final = 1
"""Goes up when a feature keeps its name and changes its meaning; the others are told apart by name."""

Features32 = npt.NDArray[np.float32]

_FADING: Final = tuple(
    (kind, days)
    for kind, halves in {
        "sessions": (7, 30, 90),
        "activity": (1, 7, 30),
        "views": (7, 30),
        "carts": (7, 30),
        "purchases": (7, 30, 90),
        "spend": (30, 90),
    }.items()
    for days in halves
)

FEATURE_NAMES: Final = (
    "recency",
    "recency_linear",
    "tenure",
    "sessions",
    "gap_mean",
    "gap_deviation",
    "recency_over_gap",
    "has_gap",
    "bgnbd",
    *(f"{kind}_{days}d" for kind, days in _FADING),
    "trend",
    "purchase_recency",
    "order_value",
    "cart_left",
    "categories",
    "item_returns",
    "rating_mean",
    "rating_last",
)
"""Order of the columns of every feature matrix."""

RECENCY_LINEAR: Final = FEATURE_NAMES.index("recency_linear")

_PURCHASE: Final = KIND["purchase"]
_PRIOR_GAP_DAYS: Final = 14.0
_BOUND: Final = 1e6


def features(rows: Rows, now_ms: int, settings: UserSettings) -> Features32:
    """Return the (n, F) features of users as of a time, finite throughout.

    Counts, times and amounts enter as log(1 + value): their effect on the odds is one of proportion.

    Parameters
    ----------
    rows
        (n,) user rows, at least one activity each.
    now_ms
        Time of the check, epoch milliseconds; no row has a later activity.
    settings
        Horizon and BG/NBD parameters.
    """
    recency = np.maximum(now_ms - rows["last_ms"], 0) / DAY_MS
    tenure = np.maximum(now_ms - rows["first_ms"], 0) / DAY_MS
    repeats = np.maximum(rows["sessions"].astype(np.float64) - 1, 0)
    gap_mean, gap_deviation = typical_gap(rows)
    fading = decayed_at(rows, now_ms)
    columns = [
        np.log1p(recency),
        recency / (settings.horizon_ms / DAY_MS),
        np.log1p(tenure),
        np.log1p(repeats),
        np.log1p(gap_mean),
        np.log1p(gap_deviation),
        np.log1p(recency / gap_mean),
        repeats > 0,
        _bgnbd(repeats, recency, tenure, settings),
        *(np.log1p(np.maximum(_faded(fading, kind, days), 0)) for kind, days in _FADING),
        _trend(fading),
        *_shopping(rows, now_ms),
    ]
    matrix = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
    bounded = np.clip(np.nan_to_num(matrix, nan=0.0, posinf=_BOUND, neginf=-_BOUND), -_BOUND, _BOUND)
    return bounded.astype(np.float32)


def typical_gap(rows: Rows) -> tuple[Floats, Floats]:
    """Return mean and deviation of the days between sessions, drawn to two weeks where there are few."""
    count = np.maximum(rows["sessions"].astype(np.float64) - 1, 0)
    mean = (rows["gaps"][:, 0] + _PRIOR_GAP_DAYS) / (count + 1)
    squares = (rows["gaps"][:, 1] + _PRIOR_GAP_DAYS**2) / (count + 1)
    return np.maximum(mean, 1e-3), np.sqrt(np.maximum(squares - mean * mean, 0))


def _faded(fading: Floats, kind: str, days: int) -> Floats:
    return fading[:, DECAYED.index(kind), HALF_LIVES_DAYS.index(days)]


def _trend(fading: Floats) -> Floats:
    """Return how the last week compares with the last quarter: 0 for a steady visitor, below when fading."""
    quarter = _faded(fading, "sessions", 90) * (7 / 90)
    return np.log((_faded(fading, "sessions", 7) + 0.1) / (quarter + 0.1))


def _bgnbd(repeats: Floats, recency: Floats, tenure: Floats, settings: UserSettings) -> Floats:
    model = settings.bgnbd
    odds = log_odds_of_silence(
        repeats,
        np.maximum(tenure - recency, 0),
        tenure,
        settings.horizon_ms / DAY_MS,
        r=model.r,
        alpha=model.alpha_days,
        a=model.a,
        b=model.b,
    )
    return np.clip(odds, -20, 20)


def _shopping(rows: Rows, now_ms: int) -> list[Floats]:
    purchases = rows["event_counts"][:, _PURCHASE].astype(np.float64)
    since = np.maximum(now_ms - rows["purchase_ms"], 0) / DAY_MS
    rated = rows["ratings"] > 0
    return [
        np.where(purchases > 0, np.log1p(since), np.log1p(365.0)),
        np.log1p(rows["spend"] / np.maximum(purchases, 1)),
        np.log1p(np.maximum(rows["cart_items"], 0)),
        np.log1p(np.bitwise_count(rows["categories"]).astype(np.float64)),
        np.log1p(rows["item_returns"].astype(np.float64)),
        np.where(rated, rows["rating_sum"] / np.maximum(rows["ratings"], 1) - 3.0, 0.0),
        np.where(rated, rows["rating_last"] - 3.0, 0.0),
    ]


def describe(row: npt.NDArray[Any], x: Features32, index: int, now_ms: int) -> tuple[str, str]:
    """Return the name of a feature and what it says of a user, in words and numbers.

    Parameters
    ----------
    row
        The user's row (0-dimensional).
    x
        (F,) the user's features.
    index
        Which feature.
    now_ms
        Time of the check.
    """
    name = FEATURE_NAMES[index]
    say = _WORDS.get(name, _say_fading)
    return name, say(row, float(x[index]), name, now_ms)


def _say_quiet(row: npt.NDArray[Any], _x: float, _name: str, now_ms: int) -> str:
    quiet = (now_ms - int(row["last_ms"])) / DAY_MS
    gaps = max(int(row["sessions"]) - 1, 0)
    if not gaps:
        return f"quiet {quiet:.1f} d after a single visit"
    return f"quiet {quiet:.1f} d, usual gap {float(row['gaps'][0]) / gaps:.1f} d"


def _say_tenure(row: npt.NDArray[Any], _x: float, _name: str, now_ms: int) -> str:
    return f"first seen {(now_ms - int(row['first_ms'])) / DAY_MS:.0f} d ago"


def _say_sessions(row: npt.NDArray[Any], _x: float, _name: str, _now_ms: int) -> str:
    sessions = int(row["sessions"])
    return f"{sessions} visit{'s' if sessions != 1 else ''} in all"


def _say_gap(row: npt.NDArray[Any], _x: float, _name: str, _now_ms: int) -> str:
    gaps = max(int(row["sessions"]) - 1, 0)
    if not gaps:
        return "never came back so far"
    mean, deviation = (float(value[0]) for value in typical_gap(row.reshape(1)))
    return f"visits {mean:.1f} d apart, give or take {deviation:.1f} d"


def _say_purchase(row: npt.NDArray[Any], _x: float, _name: str, now_ms: int) -> str:
    if not row["purchase_ms"]:
        return "never bought"
    return f"last purchase {(now_ms - int(row['purchase_ms'])) / DAY_MS:.1f} d ago"


def _say_order_value(row: npt.NDArray[Any], _x: float, _name: str, _now_ms: int) -> str:
    return f"{float(row['spend']) / max(int(row['event_counts'][_PURCHASE]), 1):.2f} spent per order"


def _say_cart(row: npt.NDArray[Any], _x: float, _name: str, _now_ms: int) -> str:
    return f"{max(int(row['cart_items']), 0)} left in the cart"


def _say_categories(row: npt.NDArray[Any], _x: float, _name: str, _now_ms: int) -> str:
    return f"about {int(row['categories']).bit_count()} categories seen"


def _say_returns(row: npt.NDArray[Any], _x: float, _name: str, _now_ms: int) -> str:
    return f"came back to an item {int(row['item_returns'])} times"


def _say_rating(row: npt.NDArray[Any], _x: float, _name: str, _now_ms: int) -> str:
    if not row["ratings"]:
        return "no ratings"
    mean = float(row["rating_sum"]) / int(row["ratings"])
    return f"last rating {float(row['rating_last']):.0f} of 5, mean {mean:.1f}"


def _say_trend(_row: npt.NDArray[Any], x: float, _name: str, _now_ms: int) -> str:
    return f"visits lately {np.exp(x):.2f} times the usual"


def _say_fading(_row: npt.NDArray[Any], x: float, name: str, _now_ms: int) -> str:
    kind, _, half_life = name.rpartition("_")
    return f"{kind} faded to {np.expm1(x):.1f} (half-life {half_life.removesuffix('d')} d)"


_WORDS: Final[dict[str, Callable[[npt.NDArray[Any], float, str, int], str]]] = {
    "recency": _say_quiet,
    "recency_linear": _say_quiet,
    "recency_over_gap": _say_quiet,
    "bgnbd": _say_quiet,
    "tenure": _say_tenure,
    "sessions": _say_sessions,
    "gap_mean": _say_gap,
    "gap_deviation": _say_gap,
    "has_gap": _say_gap,
    "trend": _say_trend,
    "purchase_recency": _say_purchase,
    "order_value": _say_order_value,
    "cart_left": _say_cart,
    "categories": _say_categories,
    "item_returns": _say_returns,
    "rating_mean": _say_rating,
    "rating_last": _say_rating,
}
