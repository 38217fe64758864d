"""What the demo has seen so far: read from the output topics and from the worker's metrics."""

import threading
import time
from collections import Counter, deque
from http.client import HTTPException
from typing import Final
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from online_models import lessons
from online_models.churn.features import RECENCY_LINEAR
from online_models.churn.labels import CHURN, ExampleBatch
from online_models.evaluation import classification
from streams import encode, topics
from streams.follow import Followed, Follower
from streams.metrics import Metric, table
from streams.schemas import ChurnAlert, Recommendation
from streams.settings import Settings

KEPT: Final = 8
WINDOW: Final = 4_096
"""Labels over which the recency rule is measured: as many as the trainer's own window."""

_POLL_S: Final = 0.1
_METRICS_S: Final = 0.5
_ANSWER_S: Final = 10.0


class Outputs(threading.Thread):
    """Reads alerts, lists, dead letters and examples as any consumer would.

    Parameters
    ----------
    settings
        Where the broker is.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="outputs", daemon=True)
        self._left = threading.Event()
        self._takers = {
            topics.ALERTS.full_name(settings): self._take_alert,
            topics.RECOMMENDATIONS.full_name(settings): self._take_list,
            topics.DEAD_LETTERS.full_name(settings): self._take_dead_letter,
            topics.EXAMPLES.full_name(settings): self._take_examples,
        }
        self._follower = Follower(settings, list(self._takers), "beginning")
        self.alerts: deque[ChurnAlert] = deque(maxlen=KEPT)
        self.lists: deque[Recommendation] = deque(maxlen=KEPT)
        self.alert_count = self.list_count = self.personal_count = 0
        self.dead_letters: Counter[str] = Counter()
        self.labels: deque[int] = deque(maxlen=WINDOW)
        self.recencies: deque[float] = deque(maxlen=WINDOW)
        self.failure: BaseException | None = None

    def leave(self) -> None:
        """End the reading and let the broker go."""
        self._left.set()
        self.join()

    def run(self) -> None:
        """Read."""
        try:
            while not self._left.is_set():
                for record in self._follower.poll(_POLL_S):
                    self._takers[record.topic](record)
        except BaseException as error:  # noqa: BLE001  # told to whoever waits for this thread
            self.failure = error
        finally:
            self._follower.close()

    def recency_auc(self) -> float | None:
        """Return how well recency alone ranks the same labels; None while one class is missing."""
        labels = np.array(self.labels, np.int8)
        if not labels.size or labels.min() == labels.max():
            return None
        return float(classification.auc(labels, np.array(self.recencies)[: labels.size]))

    def _take_alert(self, record: Followed) -> None:
        self.alerts.append(encode.read(ChurnAlert, record.value or b""))
        self.alert_count += 1

    def _take_list(self, record: Followed) -> None:
        found = encode.read(Recommendation, record.value or b"")
        self.lists.append(found)
        self.list_count += 1
        self.personal_count += any("popular" not in item.reason for item in found.items)

    def _take_dead_letter(self, record: Followed) -> None:
        if record.value is None:
            return  # deletes the dead letters of an erased user
        letter = encode.read_dead_letter(record.headers)
        self.dead_letters[letter.reason if letter else "no headers"] += 1

    def _take_examples(self, record: Followed) -> None:
        examples = lessons.unpack(record.value or b"")
        if not isinstance(examples, ExampleBatch):
            return  # what came of win-back decisions and of experiments lies in the same topic
        churn = examples.kind == CHURN
        self.recencies.extend(examples.features[churn, RECENCY_LINEAR].tolist())
        self.labels.extend(examples.label[churn].tolist())


class Gauges(threading.Thread):
    """Reads the worker's metrics twice a second, as Prometheus would.

    Parameters
    ----------
    url
        Where the worker listens.
    """

    def __init__(self, url: str) -> None:
        super().__init__(name="gauges", daemon=True)
        self._url = url
        self._left = threading.Event()
        self._opener = build_opener(ProxyHandler({}))
        self._values: dict[tuple[str, tuple[str, ...]], float] = {}
        self._applied: deque[tuple[float, float]] = deque(maxlen=12)
        self.answers = 0

    def leave(self) -> None:
        """End the reading."""
        self._left.set()
        self.join()

    def run(self) -> None:
        """Read."""
        while not self._left.is_set():
            self.read()
            self._left.wait(_METRICS_S)

    def read(self) -> bool:
        """Read once; return whether the worker answered."""
        try:
            with self._opener.open(f"{self._url}/metrics", timeout=_ANSWER_S) as answer:
                text = answer.read().decode()
        except (URLError, TimeoutError, ConnectionError, HTTPException):
            return False
        self._values = {
            (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        self._applied.append((time.monotonic(), float(self.judged)))
        self.answers += 1
        return True

    def value(self, metric: Metric, *labels: str) -> float | None:
        """Return the value of a series; None while it does not exist."""
        # The text lists labels by name.
        by_name = sorted(zip(metric.labels, labels, strict=True))
        return self._values.get((metric.name, tuple(value for _, value in by_name)))

    def count(self, metric: Metric, *labels: str) -> int:
        """Return the value of a counter; 0 while it does not exist."""
        return int(self.value(metric, *labels) or 0)

    def by_label(self, metric: Metric) -> dict[str, int]:
        """Return the values of a counter by its only label."""
        return {
            labels[0]: int(value) for (name, labels), value in self._values.items() if name == metric.name
        }

    @property
    def rejected(self) -> dict[str, int]:
        """Rejected events by reason."""
        return self.by_label(table.EVENTS_REJECTED)

    @property
    def judged(self) -> int:
        """Events accepted, known as duplicates, or rejected."""
        known = self.count(table.EVENTS_ACCEPTED) + self.count(table.EVENTS_DUPLICATE)
        return known + sum(self.rejected.values())

    @property
    def rate(self) -> float:
        """Events judged a second, over the last seconds."""
        points = list(self._applied)
        if len(points) < 2:  # a rate needs two
            return 0.0
        (then, before), (now, after) = points[0], points[-1]
        return (after - before) / max(now - then, 1e-9)
