"""The users' side once more: plain Python, one event after another, one tick after another."""

import math
from dataclasses import dataclass, field

from online_models.churn.settings import UserSettings
from online_models.events import EVENT_NAMES, OTHER, hash_id

HOUR_MS = 3_600_000
SILENT = {"recommendation_shown", "intervention_sent", "refund", "user_erased"}
TOUCHES = {"select_item", "view_item", "add_to_wishlist", "add_to_cart", "purchase"}


@dataclass
class Landmark:
    at: int
    returns: list[int] = field(default_factory=list)
    hazard_done: bool = False


@dataclass
class User:
    counts: dict[str, int] = field(default_factory=dict)
    activity: list[int] = field(default_factory=list)
    sessions: int = 0
    session: str = ""
    session_start: int = 0
    session_items: list[str] = field(default_factory=list)
    recent: list[str] = field(default_factory=list)
    bought: list[str] = field(default_factory=list)
    cart: int = 0
    spend: float = 0.0
    gaps: list[int] = field(default_factory=list)
    landmarks: list[Landmark] = field(default_factory=list)


class ReferenceStore:
    """What `UserStore` promises, written to be read."""

    def __init__(self, settings: UserSettings):
        self.settings = settings
        self.users: dict[str, User] = {}
        self.latest = -1
        self.next_tick = None
        self.seen: dict[str, int] = {}
        self.duplicates, self.too_late, self.pairs, self.examples, self.checks, self.erased = (
            [],
            [],
            [],
            [],
            [],
            [],
        )
        self.place = 0

    def apply(self, event):
        tick = self.settings.tick_ms
        if self.next_tick is None:
            self.next_tick = math.ceil(event.time / tick) * tick
        while self.next_tick < event.time:
            self.tick(self.next_tick)
            self.next_tick += tick
        self.latest = max(self.latest, event.time)
        if event.event_id in self.seen:
            self.duplicates.append(self.place)
        elif event.time < self.latest - self.settings.allowed_lateness_ms:
            self.too_late.append(self.place)
        else:
            self.seen[event.event_id] = event.time
            self.accept(event)
        self.place += 1

    def accept(self, event):
        if event.kind == "user_erased":
            self.users.pop(event.subject, None)
            self.erased.append(event.subject)
            return
        user = self.users.setdefault(event.subject, User())
        user.counts[event.kind] = user.counts.get(event.kind, 0) + 1
        if event.kind in SILENT:
            return
        for landmark in user.landmarks:
            if event.time > landmark.at:
                landmark.returns.append(event.time)
        joined = self.place_in_session(user, event)
        self.shop(user, event)
        for item in event.items if event.kind in TOUCHES else ():
            if joined:
                before = user.session_items[::-1][: self.settings.pair_distance]
                self.pairs += [(earlier, item, k + 1) for k, earlier in enumerate(before)]
                user.session_items.append(item)
                user.recent = [item, *user.recent][: self.settings.recent_items]
            if event.kind == "purchase":
                user.bought = [item, *user.bought][: self.settings.bought_items]

    def place_in_session(self, user, event):
        before = max(user.activity, default=None)
        user.activity.append(event.time)
        silent = before is None or event.time - before > self.settings.session_gap_ms
        if before is not None and event.time < before:
            return event.session == user.session if event.session else event.time >= user.session_start
        opens = before is None or event.session != user.session if event.session else silent
        if opens:
            if before is not None:
                user.gaps.append(event.time - before)
            user.sessions += 1
            user.session_start = event.time
            user.session_items = []
        if event.session or opens:
            user.session = event.session
        return True

    def shop(self, user, event):
        if event.kind == "purchase":
            user.cart = 0
            amount = event.value if math.isfinite(event.value) else 2.5 * len(event.items)
            user.spend += amount
        user.cart += {"add_to_cart": 1, "remove_from_cart": -1}.get(event.kind, 0)

    def tick(self, now):
        window = self.settings.dedupe_window_ms
        self.seen = {
            key: time for key, time in self.seen.items() if (time // HOUR_MS + 1) * HOUR_MS + window > now
        }
        self.mature(now)
        due = [subject for subject in self.users if self.is_due(subject, now)]
        for subject in sorted(due, key=hash_id):
            self.checks.append((subject, now))
            if (now - self.phase(subject)) % self.settings.landmark_interval_ms == 0:
                self.users[subject].landmarks.append(Landmark(now))

    def phase(self, subject):
        slots = self.settings.landmark_interval_ms // self.settings.tick_ms
        return hash_id(subject) % slots * self.settings.tick_ms

    def is_due(self, subject, now):
        last = max(self.users[subject].activity, default=None)
        return (
            subject.startswith("u:")
            and last is not None
            and last > now - self.settings.horizon_ms
            and (now - self.phase(subject)) % self.settings.check_interval_ms == 0
        )

    def mature(self, now):
        late, found = self.settings.allowed_lateness_ms, []
        for subject, user in self.users.items():
            for landmark in list(user.landmarks):
                step, horizon = self.settings.hazard_step_ms, self.settings.horizon_ms
                if not landmark.hazard_done and landmark.at + step + late <= now:
                    landmark.hazard_done = True
                    active = any(time <= landmark.at + step for time in landmark.returns)
                    found.append((landmark.at + step + late, landmark.at, 1, hash_id(subject), int(active)))
                if landmark.at + horizon + late <= now:
                    user.landmarks.remove(landmark)
                    gone = not any(time <= landmark.at + horizon for time in landmark.returns)
                    found.append((landmark.at + horizon + late, landmark.at, 0, hash_id(subject), int(gone)))
        self.examples += sorted(found)


assert EVENT_NAMES[OTHER] == "other"
