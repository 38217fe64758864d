"""The events that benchmarks run on: a seeded shop, or the log of a public data set; both as wire JSON.

Items are popular after Zipf and walked in small neighbourhoods, users come back for sessions, some visitors
are anonymous and come once. The same arguments give the same bytes.
"""

import gzip
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

START_MS = 1_704_067_200_000
"""2024-01-01; far enough in the past that no event lies in the future of its record."""

DAY_MS = 86_400_000
TOUCHES = ("view_item", "add_to_wishlist", "add_to_cart", "purchase")
_NAMES = (*TOUCHES, "search", "view_cart")
_SHARES = (0.66, 0.04, 0.12, 0.05, 0.09, 0.04)
_SESSION_MEAN = 6.0
_PAUSE_MS = 45_000.0
_NEAR = 12


Records = list[tuple[bytes, bytes]]
"""Key and value of events, in the order of the log."""


@dataclass(frozen=True)
class Workload:
    """Size of the seeded shop.

    Parameters
    ----------
    events, users, items
        How many events the last part has, and of how many returning users and items.
    history
        Events before it, so that users are known, landmarks wait for their labels and items have partners.
    days, last_days
        Over which the history and the last part are spread.
    anonymous
        Share of the sessions that are of a visitor never seen again.
    seed
        Of everything that is drawn.
    """

    events: int = 60_000
    users: int = 5_000
    items: int = 5_000
    history: int = 30_000
    days: float = 35.0
    last_days: float = 1.0
    anonymous: float = 0.4
    seed: int = 1

    def records(self) -> list[tuple[bytes, bytes]]:
        """Return key and value of every event, in the order of their times."""
        random = np.random.default_rng(self.seed)
        earlier, late = (self._sessions(count, random) for count in (self.history, self.events))
        start = np.concatenate((earlier * self.days, self.days + late * self.last_days)) * DAY_MS
        sessions = start.size
        length = random.geometric(1 / _SESSION_MEAN, sessions)
        who = np.minimum(random.zipf(1.3, sessions), self.users)
        # Half the sessions go to regulars after Zipf, the others to everybody alike.
        who = np.where(random.random(sessions) < 0.5, who, random.integers(1, self.users + 1, sessions))
        stranger = random.random(sessions) < self.anonymous
        session = np.repeat(np.arange(sessions), length)
        pauses = random.exponential(_PAUSE_MS, session.size)
        first = np.cumsum(length) - length
        walked = np.cumsum(pauses)
        time = (START_MS + start[session] + walked - walked[first][session]).astype(np.int64)
        home = np.minimum(random.zipf(1.2, sessions), self.items)[session]
        item = (home + random.integers(-_NEAR, _NEAR + 1, session.size)) % self.items
        name = random.choice(len(_NAMES), session.size, p=_SHARES)
        price = np.round(random.lognormal(3, 1, self.items) + 1, 2)
        order = np.argsort(time, kind="stable")
        last_day = np.searchsorted(time[order], START_MS + self.days * DAY_MS)
        # Sessions are drawn until there are enough events of either part; what is too many goes.
        order = np.concatenate((order[:last_day][-self.history :], order[last_day:][: self.events]))
        encode = msgspec.json.Encoder().encode
        drawn = zip(
            session[order].tolist(),
            who[session][order].tolist(),
            stranger[session][order].tolist(),
            time[order].tolist(),
            item[order].tolist(),
            name[order].tolist(),
            strict=True,
        )
        found = []
        for number, (visit, user, unknown, at, touched, kind) in enumerate(drawn):
            subject = f"v{self.seed}-{visit}" if unknown else f"c{user}"
            event: dict[str, Any] = {
                "event_id": f"e{self.seed}-{number}",
                "event_name": _NAMES[kind],
                "event_time": at,
                "anonymous_id" if unknown else "user_id": subject,
                **_about(_NAMES[kind], touched, float(price[touched])),
            }
            found.append((subject.encode(), encode(event)))
        return found

    @staticmethod
    def _sessions(events: int, random: np.random.Generator) -> Any:
        return np.sort(random.random(int(events / _SESSION_MEAN * 1.2) + 20))

    def part(self, parts: int) -> "Workload":
        """Return a shop of the same density with a part of everything."""
        return replace(
            self,
            events=self.events // parts,
            users=self.users // parts,
            items=self.items // parts,
            history=self.history // parts,
        )


def _about(name: str, item: int, price: float) -> dict[str, Any]:
    """Return what an event says of its item."""
    if name not in TOUCHES:
        return {}
    about = {"items": [{"item_id": f"sku-{item}", "item_category": f"cat-{item % 40}", "price": price}]}
    return about | ({"value": price, "currency": "EUR"} if name == "purchase" else {})


def real_log(path: Path, events: int) -> list[tuple[bytes, bytes]]:
    """Return the first events of a log, as `keepstream dataset` writes it."""
    with gzip.open(path, "rb") as file:
        return [(_key(line), line.rstrip(b"\n")) for line in islice(file, events)]


def event_ms(value: bytes) -> int:
    """Return the time of an event, epoch milliseconds."""
    time = msgspec.json.decode(value)["event_time"]
    return time if isinstance(time, int) else int(datetime.fromisoformat(time).timestamp() * 1000)


def asks_for_list(value: bytes) -> bool:
    """Return whether an event is a touch of an item, which a list answers."""
    return msgspec.json.decode(value)["event_name"] in TOUCHES


def _key(line: bytes) -> bytes:
    event = msgspec.json.decode(line)
    return str(event.get("user_id") or event["anonymous_id"]).encode()


@dataclass(frozen=True)
class Truth:
    """What must come of a log: each user's events in order, each item's touches, and who is anonymous."""

    names: dict[str, list[str]]
    touches: Counter[str]
    strangers: frozenset[str]

    @classmethod
    def of(cls, records: list[tuple[bytes, bytes]]) -> "Truth":
        """Count the events of a log, with nothing but a dictionary."""
        names: dict[str, list[str]] = {}
        touches: Counter[str] = Counter()
        strangers = set()
        for key, value in records:
            event = msgspec.json.decode(value)
            names.setdefault(key.decode(), []).append(event["event_name"])
            if "user_id" not in event:
                strangers.add(key.decode())
            if event["event_name"] in TOUCHES:
                touches.update(item["item_id"] for item in event["items"])
        return cls(names, touches, frozenset(strangers))

    def deviations(self, users: dict[str, dict[str, int]], items: dict[str, int], *, whole: bool) -> int:
        """Return how many users and items are counted otherwise.

        Parameters
        ----------
        users, items
            Counts by event name of each user, and touches of each item.
        whole
            Whether the log was read to its end; else each user must have a beginning of their events, and
            no item more touches than it can have.
        """
        wrong = 0
        for user, counts in users.items():
            taken = self.names.get(user, [])[: sum(counts.values())]
            wrong += Counter(taken) != Counter(counts)
        if whole:
            wrong += len(self.names.keys() ^ users.keys())
            wrong += sum(
                len(names) != sum(users.get(user, {}).values()) for user, names in self.names.items()
            )
            return wrong + sum(self.touches[i] != items.get(i, 0) for i in self.touches | Counter(items))
        return wrong + sum(count > self.touches[item] for item, count in items.items())
