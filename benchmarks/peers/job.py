"""The job, event by event, with dictionaries and River: what a shop would write without Keepstream.

State is passed in and out as plain dictionaries, so that a framework can keep it by key. It asks less than
Keepstream does: no learned ranking, no dead letters, no win-back, one churn model. Users are scored on days
when they come only: state by key has no clock, so whoever stays away is not looked at.
"""

import heapq
import math
from typing import Any

import river.linear_model
import river.optim
import river.preprocessing

TOUCHES = ("select_item", "view_item", "add_to_wishlist", "add_to_cart", "purchase")
_WEIGHTS = {"add_to_wishlist": 1.5, "add_to_cart": 2.0, "purchase": 2.0}
_DAY_MS = 86_400_000
_GAP_MS = 1_800_000
_HORIZON_MS = 28 * _DAY_MS
_LATENESS_MS = _DAY_MS
_HALF_LIVES_DAYS = (1, 7, 30)
_SLOTS = 64
_PUBLISHED = 50
_RECENT = 10
_LENGTH = 20
_PAIR_HALF_LIFE_MS = 10 * _DAY_MS
_HALF_LIVES_TO_2024 = 1_972
"""Forward decay: later weights are larger, instead of earlier ones growing smaller."""
_GROWTH = 1.05
_REFRESH_MS = 60_000

Row = dict[str, Any]
Update = tuple[str, float, float, int]
"""Partner, forward weight, backward weight, and the time; an empty partner is a touch of the item itself."""


class Users:
    """What follows from an event for its user, and the churn model that all users share."""

    def __init__(self) -> None:
        self.model = river.preprocessing.StandardScaler() | river.linear_model.LogisticRegression(
            river.optim.AdaGrad(0.05)
        )
        self.learned = self.scored = 0

    def step(self, row: Row | None, event: Row) -> tuple[Row, dict[str, list[Update]], float | None]:
        """Take an event; return the user's row, updates of items by item, and a churn score if one is due."""
        now = event["event_time"]
        row = row or {
            "counts": {},
            "decayed": {},
            "first": now,
            "last": now,
            "recent": [],
            "marks": [],
            "day": -1,
        }
        updates: dict[str, list[Update]] = {}
        if now - row["last"] > _GAP_MS:
            row["recent"] = []
            _decay(row["decayed"], "session", now, 1.0)
        score = self._churn(row, now) if "user_id" in event else None
        name = event["event_name"]
        row["counts"][name] = row["counts"].get(name, 0) + 1
        row["last"] = max(now, row["last"])
        _decay(row["decayed"], name, now, 1.0)
        if "value" in event and name == "purchase":
            _decay(row["decayed"], "spend", now, event["value"])
        if name in TOUCHES:
            for item in event["items"]:
                _pair(row["recent"], item["item_id"], name, now, updates)
        return row, updates, score

    def _churn(self, row: Row, now: int) -> float | None:
        for mark in row["marks"]:
            mark[2] = mark[2] or now <= mark[0] + _HORIZON_MS
        while row["marks"] and now >= row["marks"][0][0] + _HORIZON_MS + _LATENESS_MS:
            _, features, came_back = row["marks"].pop(0)
            self.model.learn_one(features, not came_back)
            self.learned += 1
        day = now // _DAY_MS
        if row["day"] == day:
            return None
        row["day"] = day
        features = _features(row, now)
        if not row["marks"] or now - row["marks"][-1][0] >= 7 * _DAY_MS:
            row["marks"].append([now, features, False])
        self.scored += 1
        return float(self.model.predict_proba_one(features).get(True, 0.5))


class Neighbours:
    """The strongest partners of every item as last published, and popularity; what a broadcast would hold."""

    def __init__(self) -> None:
        self.partners: dict[str, list[tuple[str, float]]] = {}
        self.popular: dict[str, float] = {}

    def count(self, item: str, row: Row | None, updates: list[Update]) -> Row:
        """Take updates of an item, publish its partners where that is due, and return its row."""
        row = row or {"touches": 0, "partners": {}, "published": 0, "at": 0}
        partners = row["partners"]
        for partner, forward, backward, now in updates:
            if not partner:
                row["touches"] += 1
                continue
            grown = 2.0 ** (now / _PAIR_HALF_LIFE_MS - _HALF_LIVES_TO_2024)
            if partner not in partners and len(partners) >= _SLOTS:
                del partners[min(partners, key=lambda one: partners[one][0] + partners[one][1])]
            weights = partners.setdefault(partner, [0.0, 0.0])
            weights[0] += forward * grown
            weights[1] += backward * grown
        now = updates[-1][3]
        if row["touches"] >= row["published"] * _GROWTH or now - row["at"] >= _REFRESH_MS:
            best = heapq.nlargest(_PUBLISHED, partners.items(), key=lambda one: one[1][0] + one[1][1] / 2)
            self.partners[item] = [(partner, weights[0] + weights[1] / 2) for partner, weights in best]
            self.popular[item] = row["touches"]
            row["published"], row["at"] = row["touches"], now
        return row

    def recommend(self, recent: list[str]) -> list[Row]:
        """Return a list for somebody who touched these items, newest first."""
        scores: dict[str, float] = {}
        why: dict[str, str] = {}
        popular = self.popular
        for place, item in enumerate(recent):
            share = 1.0 / (place + 1) / math.sqrt(popular.get(item, 1) or 1)
            for partner, weight in self.partners.get(item, ()):
                score = weight * share / (popular.get(partner, 1) or 1) ** 0.25
                scores[partner] = scores.get(partner, 0.0) + score
                why.setdefault(partner, item)
        best = heapq.nlargest(_LENGTH, scores.items(), key=lambda one: one[1])
        return [
            {"item_id": item, "score": score, "reason": f"people who viewed {why[item]} next viewed this"}
            for item, score in best
        ]


def document(key: str, event: Row, items: list[Row]) -> Row:
    """Return the recommendation that is published."""
    return {
        "id": event["event_id"],
        "subject": key,
        "event_time": event["event_time"],
        "model_version": "job",
        "items": items,
    }


def _pair(recent: list[str], item: str, name: str, now: int, updates: dict[str, list[Update]]) -> None:
    """Note a touch and its pairs with the session's earlier touches, newest first."""
    updates.setdefault(item, []).append(("", 0.0, 0.0, now))
    weight = _WEIGHTS.get(name, 1.0)
    for distance, earlier in enumerate(recent, 1):
        updates.setdefault(earlier, []).append((item, weight / distance, 0.0, now))
        if earlier != item:
            updates[item].append((earlier, 0.0, weight / distance, now))
    recent.insert(0, item)
    del recent[_RECENT:]


def _decay(sums: Row, name: str, now: int, amount: float) -> None:
    """Add to the decayed sums of a name, one for each half-life."""
    entry = sums.setdefault(name, [now, *(0.0 for _ in _HALF_LIVES_DAYS)])
    passed = max(0, now - entry[0]) / _DAY_MS
    for place, half_life in enumerate(_HALF_LIVES_DAYS, 1):
        entry[place] = entry[place] * 0.5 ** (passed / half_life) + amount
    entry[0] = max(now, entry[0])


def _features(row: Row, now: int) -> dict[str, float]:
    found = {
        "recency": math.log1p((now - row["last"]) / _DAY_MS),
        "tenure": math.log1p((now - row["first"]) / _DAY_MS),
    }
    for name in ("session", "view_item", "add_to_cart", "purchase", "spend", "search"):
        at, *sums = row["decayed"].get(name, (now, 0.0, 0.0, 0.0))
        for half_life, value in zip(_HALF_LIVES_DAYS, sums, strict=True):
            found[f"{name}_{half_life}d"] = math.log1p(
                value * 0.5 ** (max(0, now - at) / _DAY_MS / half_life)
            )
    return found
