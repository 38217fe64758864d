"""The one trainer: learns every label of every partition, and publishes models."""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import Any, Final

from online_models import snapshots
from online_models.churn.labels import CHURN, EXAMPLE_KINDS, ExampleBatch
from online_models.churn.model import LEARNING_RATE, LabelModel
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import DAY_MS
from online_models.churn.window import RecentOutcomes
from online_models.errors import CorruptStateError, InvalidParameterError, blame
from online_models.journal import Journal
from online_models.winback.learner import STATE_ROW as WINBACK_ROW
from online_models.winback.learner import WinbackLearner

STATE_ROW: Final = b"\0trainer"
_WINDOW_ROWS: Final = b"\0window:"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """Settings of `TrainerStore`.

    Parameters
    ----------
    learning_rate
        Step size of AdaGrad.
    min_labels
        Labels of each class to be learned before users are scored by the model and alerted.
    publish_every
        At most so many churn labels lie between two published models.
    publish_growth
        While labels are few, a model is published once their number grew by this share.
    daily_budget
        Alerts a day that the threshold aims at; None leaves it at 1 half.
    window
        Outcomes kept for the measures and the threshold; a multiple of 256.
    horizon_ms, hazard_step_ms
        What the labels of the two models ask for. A model that learned another question starts anew from its
        weights.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.
    """

    learning_rate: float = LEARNING_RATE
    min_labels: int = 50
    publish_every: int = 500
    publish_growth: float = 0.05
    daily_budget: int | None = 1000
    window: int = 4096
    horizon_ms: int = 28 * DAY_MS
    hazard_step_ms: int = 7 * DAY_MS

    def __post_init__(self) -> None:
        for name in ("learning_rate", "publish_growth"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InvalidParameterError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("min_labels", "publish_every"):
            if getattr(self, name) < 1:
                raise InvalidParameterError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.daily_budget is not None and self.daily_budget < 0:
            raise InvalidParameterError(f"daily_budget must not be negative, got {self.daily_budget}")


@dataclass(frozen=True, slots=True)
class Drift:
    """A model whose loss rose, so that its step size was restored.

    Parameters
    ----------
    kind
        "churn" or "hazard".
    at_ms
        When the label that showed it became final, epoch milliseconds.
    learned
        Labels the model had learned by then.
    log_loss
        Mean log loss of the labels since the change.
    """

    kind: str
    at_ms: int
    learned: int
    log_loss: float


@dataclass(frozen=True, slots=True)
class TrainerEffects:
    """What came of examples: models to publish and drifts to report, both in order."""

    scorers: list[ChurnScorer]
    drifts: list[Drift]


class TrainerStore:
    """The churn and the hazard model, side by side, with their measures.

    A model is published at fixed numbers of learned labels, so models, versions and thresholds depend on
    the order of the examples only.

    Parameters
    ----------
    settings
        Step size, when to publish, alert budget.

    Attributes
    ----------
    version
        Number of the last published model, 0 before the first.
    winback
        What is learned of the win-back actions.
    """

    def __init__(self, settings: TrainerSettings) -> None:
        self.settings = settings
        self.version = 0
        self._published_at = 0
        self._models = {name: LabelModel(settings.learning_rate) for name in EXAMPLE_KINDS}
        self._windows = {name: RecentOutcomes(settings.window) for name in EXAMPLE_KINDS}
        self._spans_ms = dict(zip(EXAMPLE_KINDS, (settings.horizon_ms, settings.hazard_step_ms), strict=True))
        self.winback = WinbackLearner()
        self._saved: dict[str, tuple[int, int]] = {}
        self._journal = Journal()
        self._dirty = False

    def apply(self, examples: ExampleBatch) -> TrainerEffects:
        """Learn examples one by one, in order."""
        effects = TrainerEffects([], [])
        columns = (examples.kind, examples.label, examples.landmark_ms, examples.matured_ms)
        for place, (kind, label, landmark_ms, matured_ms) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            name = EXAMPLE_KINDS[kind]
            model = self._models[name]
            drifts = model.drifts
            before = model.learn_one(examples.features[place], label)
            if before is not None:
                self._windows[name].add(landmark_ms, before, label)
            if model.drifts > drifts:
                effects.drifts.append(Drift(name, matured_ms, model.learned, model.recent_loss))
            if kind == CHURN and self._due():
                effects.scorers.append(self._publish())
        self._dirty |= len(examples) > 0
        return effects

    def current(self) -> ChurnScorer:
        """Return the churn model as it stands, under the version last published."""
        model, window = self._models["churn"], self._windows["churn"]
        weights, bias, center = model.coefficients()
        budget = self.settings.daily_budget
        classes = (model.positives, model.learned - model.positives)
        return ChurnScorer(
            version=self.version,
            weights=weights,
            bias=bias,
            center=center,
            threshold=0.5 if budget is None else window.threshold_for(budget),
            ready=min(classes) >= self.settings.min_labels,
            card=self.card(),
            horizon_ms=self.settings.horizon_ms,
        )

    def card(self) -> dict[str, float]:
        """Return the measures of both models, names behind ``churn_`` and ``hazard_``."""
        card: dict[str, float] = {}
        for name, model in self._models.items():
            measures = {
                "labels": float(model.learned),
                "positives": float(model.positives),
                "skipped": float(model.skipped),
                "drifts": float(model.drifts),
                "log_loss_lifetime": model.log_loss,
                **self._windows[name].measures(),
            }
            card |= {f"{name}_{measure}": value for measure, value in measures.items()}
        return card

    def predict_one(self, kind: int, x: Any) -> float:
        """Return the probability of label 1 of a kind of example for (F,) features."""
        return self._models[EXAMPLE_KINDS[kind]].predict_one(x)

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows changed since the last call, encoded."""
        rows: list[tuple[bytes, bytes | None]] = self.winback.dirty_rows()
        if not self._dirty:
            return self._journal.seal(rows)
        self._dirty = False
        state = {
            "version": self.version,
            "published_at": self._published_at,
            "models": {name: model.state() for name, model in self._models.items()},
            "outcomes": {name: [window.count, window.size] for name, window in self._windows.items()},
            "spans_ms": self._spans_ms,
        }
        rows.append((STATE_ROW, snapshots.pack("trainer", _VERSION, state)))
        for name, window in self._windows.items():
            rows += window.dirty_rows(_window_prefix(name))
        return self._journal.seal(rows)

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; it names its key.
        """
        for key, value in self._journal.open(rows):
            window = next((w for n, w in self._windows.items() if key.startswith(_window_prefix(n))), None)
            with blame(key), snapshots.reading("trainer"):
                if window is not None:
                    window.restore(key[key.rindex(b":") + 1 :], value)
                elif key == STATE_ROW and value is not None:
                    self._restore_state(snapshots.unpack("trainer", _VERSION, value))
                elif key == WINBACK_ROW and value is not None:
                    self.winback.restore(value)
                else:
                    raise CorruptStateError("of no kind that this release knows")

    def restored(self) -> None:
        """Finish loading."""
        for name, (count, size) in self._saved.items():
            self._windows[name].restored(count, size)
        self._saved = {}

    def _restore_state(self, state: dict[str, Any]) -> None:
        models = {name: LabelModel.from_state(state["models"][name]) for name in EXAMPLE_KINDS}
        saved = {name: (index(count), index(size)) for name, (count, size) in state["outcomes"].items()}
        published_at = index(state["published_at"])
        # Releases that kept no spans are taken to have learned what is asked for now.
        for name, span_ms in state.get("spans_ms", self._spans_ms).items():
            if span_ms != self._spans_ms[name]:
                models[name].ask_anew()
                saved[name] = (0, 0)
                published_at = 0 if name == EXAMPLE_KINDS[CHURN] else published_at
        self.version, self._published_at = index(state["version"]), published_at
        self._models, self._saved = models, saved

    def _due(self) -> bool:
        fresh = self._models["churn"].learned - self._published_at
        growth = int(self._published_at * self.settings.publish_growth)
        return fresh >= min(self.settings.publish_every, max(self.settings.min_labels, growth))

    def _publish(self) -> ChurnScorer:
        self.version += 1
        self._published_at = self._models["churn"].learned
        return self.current()


def _window_prefix(name: str) -> bytes:
    return _WINDOW_ROWS + name.encode() + b":"
