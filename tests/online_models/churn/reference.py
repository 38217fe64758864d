"""The users' side once more: plain Python, one event after another, one tick after another."""

import math
from dataclasses import dataclass, field

from online_models.churn.rows import ANCHOR_MS
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
    stretch: int = 0

    @property
    def last_seen(self) -> int:
        return max(self.activity, default=(self.stretch + 1) * ANCHOR_MS)


class ReferenceStore:
    """What `UserStore` promises, written to be read."""

    def __init__(self, settings: UserSettings):
        self.settings = settings
        self.users: dict[str, User] = {}
        self.latest = -1
        self.next_tick = None
        self.seen: dict[str, tuple[int, int]] = {}
        self.open: dict[int, int] = {}
        self.duplicates: list[int] = []
        self.too_late: list[int] = []
        self.pairs: list[tuple[str, str, int]] = []
        self.examples: list[tuple[int, ...]] = []
        self.checks: list[tuple[str, int]] = []
        self.forgotten: list[tuple[str, str]] = []
        self.cut_off = 0
        self.place = 0

    def apply(self, event):
        tick = self.settings.tick_ms
        if event.kind == "user_erased":
            # It takes effect where it lies in the log; before the first event there is nobody to erase.
            event = event._replace(time=max(self.latest, 0))
            if self.next_tick is None:
                self.judge(event)
                return
        if self.next_tick is None:
            self.seen, self.open = {}, {}
            self.next_tick = math.ceil(event.time / tick) * tick
        while self.next_tick < event.time:
            self.tick(self.next_tick)
            self.next_tick += tick
        self.judge(event)

    def judge(self, event):
        self.latest = max(self.latest, event.time)
        self.make_room_for_an_id()
        if event.event_id in self.seen:
            self.duplicates.append(self.place)
        elif event.time < self.latest - self.settings.allowed_lateness_ms:
            self.too_late.append(self.place)
        else:
            self.remember(event)
            self.accept(event)
        self.place += 1

    @property
    def bucket_size(self):
        return math.ceil(self.settings.dedupe_max_ids / 8)

    def make_room_for_an_id(self):
        most = self.settings.dedupe_max_ids
        if len(self.seen) >= most:
            while len(self.seen) > most - self.bucket_size:
                self.drop(min(self.seen.values()))

    def drop(self, bucket):
        self.seen = {key: found for key, found in self.seen.items() if found != bucket}
        if self.open.get(bucket[0]) == bucket[1]:
            del self.open[bucket[0]]

    def remember(self, event):
        hour = event.time // HOUR_MS
        number = self.open.setdefault(hour, 0)
        if list(self.seen.values()).count((hour, number)) >= self.bucket_size:
            self.open[hour] = number = number + 1
        self.seen[event.event_id] = (hour, number)

    def accept(self, event):
        if event.kind == "user_erased":
            self.users.pop(event.subject, None)
            self.forgotten.append((event.subject, "erased"))
            return
        user = self.users.setdefault(event.subject, User())
        user.stretch = (self.next_tick - 1) // ANCHOR_MS
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
        for bucket in {found for found in self.seen.values() if (found[0] + 1) * HOUR_MS + window <= now}:
            self.drop(bucket)
        self.mature(now)
        self.forget(now)
        due = [subject for subject in self.users if self.is_due(subject, now)]
        for subject in sorted(due, key=hash_id):
            self.checks.append((subject, now))
            if (now - self.phase(subject)) % self.settings.landmark_interval_ms == 0:
                self.users[subject].landmarks.append(Landmark(now))

    def forget(self, now):
        def longest_idle_first(subject):
            return self.users[subject].last_seen, hash_id(subject)

        ttl, most = self.settings.state_ttl_ms, self.settings.max_users
        idle = [subject for subject, user in self.users.items() if user.last_seen + ttl <= now]
        assert not any(self.users[subject].landmarks for subject in idle), "a label was cut off"
        self.remove(idle, "idle")
        if len(self.users) > most:
            too_many = len(self.users) - most + most // 10
            self.remove(sorted(self.users, key=longest_idle_first)[:too_many], "full")

    def remove(self, subjects, reason):
        for subject in sorted(subjects, key=hash_id):
            self.cut_off += len(self.users.pop(subject).landmarks)
            self.forgotten.append((subject, reason))

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
