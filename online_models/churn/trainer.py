"""The one trainer: learns every label of every partition, and publishes models."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import index
from typing import Any, Final

import numpy as np

from online_models import snapshots
from online_models.churn.bgnbd_expert import OnlineBgNbd
from online_models.churn.contest import KEPT_ROW, Contest
from online_models.churn.experts import CANDIDATES, CONSTANT, EXPERTS, Experts
from online_models.churn.feature_drift import FeatureDrift, FeatureWatch
from online_models.churn.features import FEATURE_NAMES, Features32
from online_models.churn.hazard import Roll, RolledHazard
from online_models.churn.labels import CHURN, EXAMPLE_KINDS, HAZARD, ExampleBatch
from online_models.churn.model import FORGET, LEARNING_RATE, LabelModel
from online_models.churn.recursive import RecursiveLogistic
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import DAY_MS, BgNbdSettings
from online_models.churn.window import RecentOutcomes
from online_models.errors import CorruptStateError, InvalidParameterError, blame
from online_models.experiments.book import STATE_ROW as EXPERIMENTS_ROW
from online_models.experiments.book import ExperimentBook
from online_models.journal import Journal
from online_models.winback.learner import STATE_ROW as WINBACK_ROW
from online_models.winback.learner import WinbackLearner

STATE_ROW: Final = b"\0trainer"
_WINDOW_ROWS: Final = b"\0window:"
_VERSION: Final = 1
_AT_ONCE: Final = 2048
"""Examples whose aged features are computed together, to bound memory."""


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
        What the labels of the two kinds ask for. A model that learned another question starts anew from its
        weights.
    landmark_interval_ms
        Time between two landmarks of a user, by which their labels overlap.
    bgnbd
        Parameters of one feature, by which features age, and with which BG/NBD begins to learn.
    forget
        What is left of AdaGrad's sums when the log loss rises; 1 leaves them alone.

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
    landmark_interval_ms: int = 7 * DAY_MS
    bgnbd: BgNbdSettings = field(default_factory=BgNbdSettings)
    forget: float = FORGET

    def __post_init__(self) -> None:
        for name in ("learning_rate", "publish_growth"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InvalidParameterError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("min_labels", "publish_every", "landmark_interval_ms"):
            if getattr(self, name) < 1:
                raise InvalidParameterError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.forget <= 1:
            raise InvalidParameterError(f"forget must be above 0 and at most 1, got {self.forget}")
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
    """What came of examples: models to publish, drifts of models and of features, each in order."""

    scorers: list[ChurnScorer]
    drifts: list[Drift]
    feature_drifts: list[FeatureDrift]


class TrainerStore:
    """All churn models, side by side, with their measures.

    Each kind of label is learned twice: by River with AdaGrad, and by a model of second order. `Contest` says
    which of them, or which blend, scores. A model is published at fixed numbers of learned labels, so models,
    versions and thresholds depend on the order of the examples only.

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
    experiments
        What came of the experiments with lists.
    """

    def __init__(self, settings: TrainerSettings) -> None:
        self.settings = settings
        self.version = 0
        self._published_at = 0
        self._models = {name: LabelModel(settings.learning_rate, settings.forget) for name in EXAMPLE_KINDS}
        self._recursive = {name: RecursiveLogistic((*FEATURE_NAMES, CONSTANT)) for name in EXAMPLE_KINDS}
        step_ms = min(settings.hazard_step_ms, settings.horizon_ms)
        self._roll = Roll(settings.horizon_ms, step_ms, settings.bgnbd)
        self._bgnbd = OnlineBgNbd(settings.bgnbd, step_ms)
        self._windows = {name: RecentOutcomes(settings.window) for name in EXAMPLE_KINDS}
        self._spans_ms = dict(zip(EXAMPLE_KINDS, (settings.horizon_ms, settings.hazard_step_ms), strict=True))
        # Labels of a user ask for the same days, as often as landmarks lie within a span: each is one part.
        self._parts = {
            name: min(settings.landmark_interval_ms / span, 1.0) for name, span in self._spans_ms.items()
        }
        self._features = FeatureWatch()
        self._contest = Contest(
            settings.horizon_ms, 2 * step_ms, settings.window, self._parts[EXAMPLE_KINDS[CHURN]]
        )
        self.winback = WinbackLearner()
        self.experiments = ExperimentBook()
        self._saved: dict[str, tuple[int, int]] = {}
        self._journal = Journal()
        self._dirty = False
        self._anew = False

    def apply(self, examples: ExampleBatch) -> TrainerEffects:
        """Learn examples one by one, in order."""
        effects = TrainerEffects([], [], [])
        for start in range(0, len(examples), _AT_ONCE):
            self._learn(examples.take(slice(start, start + _AT_ONCE)), effects)
        self._dirty |= len(examples) > 0
        return effects

    def _learn(self, examples: ExampleBatch, effects: TrainerEffects) -> None:
        churns = np.flatnonzero(examples.kind == CHURN)
        steps = self._roll.aged(examples.features[churns])
        churn_at = np.cumsum(examples.kind == CHURN) - 1
        columns = (examples.kind, examples.label, examples.landmark_ms, examples.matured_ms)
        for place, (kind, label, landmark_ms, matured_ms) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            name, x, model = EXAMPLE_KINDS[kind], examples.features[place], self._models[EXAMPLE_KINDS[kind]]
            served = None
            if kind == CHURN and np.isfinite(x).all():
                at = int(churn_at[place])
                served = self._judge(x, steps[:, at : at + 1], label, landmark_ms, matured_ms)
            drifts = model.drifts
            before = model.learn_one(x, label)
            if before is not None:
                row = np.append(x, 1.0).astype(np.float64)
                self._recursive[name].learn_one(row, label, self._parts[name])
                self._windows[name].add(landmark_ms, before if served is None else served, label)
                if kind == HAZARD:
                    self._bgnbd.learn_one(x, label)
                    effects.feature_drifts.extend(self._features.update(x, matured_ms))
            if model.drifts > drifts:
                effects.drifts.append(Drift(name, matured_ms, model.learned, model.recent_loss))
            if kind == CHURN and self._due():
                effects.scorers.append(self._publish())

    def current(self) -> ChurnScorer:
        """Return the churn model as it stands, with its card, under the version last published."""
        return replace(self.scorer(), card=self.card())

    def challengers(self) -> dict[str, ChurnScorer]:
        """Return all candidates, the champion among them, as they stand, without a card."""
        experts = self._experts()
        return {name: self._scorer(replace(experts, champion=name)) for name in CANDIDATES}

    def scorer(self) -> ChurnScorer:
        """Return the churn model as it stands, without a card, which takes longer to make than the rest."""
        return self._scorer(self._experts())

    def _scorer(self, experts: Experts) -> ChurnScorer:
        budget = self.settings.daily_budget
        weights, bias, rolled_share, bgnbd_share = experts.champion_parts()
        return ChurnScorer(
            version=self.version,
            weights=weights,
            bias=bias,
            center=self._models["churn"].coefficients()[2],
            threshold=0.5 if budget is None else self._windows["churn"].threshold_for(budget),
            ready=self._ready(),
            horizon_ms=self.settings.horizon_ms,
            champion=experts.champion,
            rolled=experts.rolled if rolled_share else None,
            rolled_share=rolled_share,
            bgnbd=experts.bgnbd if bgnbd_share else None,
            bgnbd_share=bgnbd_share,
        )

    def card(self) -> dict[str, float]:
        """Return the measures of the models by kind of label, and those of the candidates.

        Names stand behind ``churn_`` (what users were scored with), ``hazard_``, the candidates' names, and
        ``features_`` (whose means have changed).
        """
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
        watched = {f"features_{measure}": value for measure, value in self._features.card().items()}
        return card | self._contest.card() | watched

    def predict_one(self, kind: int, x: Any) -> float:
        """Return the probability of label 1 of a kind of example for (F,) features, by River's model."""
        return self._models[EXAMPLE_KINDS[kind]].predict_one(x)

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows changed since the last call, encoded."""
        rows: list[tuple[bytes, bytes | None]] = self.winback.dirty_rows() + self.experiments.dirty_rows()
        if not self._dirty:
            return self._journal.seal(rows)
        self._dirty = False
        state = {
            "version": self.version,
            "published_at": self._published_at,
            "models": {name: model.state() for name, model in self._models.items()},
            "outcomes": {name: [window.count, window.size] for name, window in self._windows.items()},
            "spans_ms": self._spans_ms,
            "recursive": {name: model.state() for name, model in self._recursive.items()},
            "contest": self._contest.state(),
            "features": self._features.state(),
            "bgnbd": self._bgnbd.state(),
        }
        rows.append((STATE_ROW, snapshots.pack("trainer", _VERSION, state)))
        rows += self._contest.dirty_rows()
        for name, window in self._all_windows().items():
            rows += window.dirty_rows(_window_prefix(name))
        return self._journal.seal(rows)

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; it names its key.
        """
        windows = self._all_windows()
        for key, value in self._journal.open(rows):
            window = next((w for n, w in windows.items() if key.startswith(_window_prefix(n))), None)
            with blame(key), snapshots.reading("trainer"):
                if window is not None:
                    window.restore(key[key.rindex(b":") + 1 :], value)
                elif key == KEPT_ROW and value is not None:
                    self._contest.restore_kept(value)
                elif key == STATE_ROW and value is not None:
                    self._restore_state(snapshots.unpack("trainer", _VERSION, value))
                elif key == WINBACK_ROW and value is not None:
                    self.winback.restore(value)
                elif key == EXPERIMENTS_ROW and value is not None:
                    self.experiments = ExperimentBook.restore(value)
                else:
                    raise CorruptStateError("of no kind that this release knows")

    def restored(self) -> None:
        """Finish loading."""
        windows = self._all_windows()
        for name, (count, size) in self._saved.items():
            windows[name].restored(count, size)
        self._saved = {}
        if self._anew:
            self._contest.start_anew()
            self._anew = False

    def _restore_state(self, state: dict[str, Any]) -> None:
        models = {
            name: LabelModel.from_state(state["models"][name], self.settings.forget) for name in EXAMPLE_KINDS
        }
        saved = {name: (index(count), index(size)) for name, (count, size) in state["outcomes"].items()}
        published_at = index(state["published_at"])
        self._anew = False
        # The first releases had neither models of second order nor a contest: those begin from nothing.
        for name, recursive in state.get("recursive", {}).items():
            self._recursive[name].restore(recursive)
        if "bgnbd" in state:
            self._bgnbd.restore(state["bgnbd"])
        if "features" in state:
            self._features.restore(state["features"])
        if "contest" in state:
            saved |= self._contest.restore(state["contest"])
        else:
            self._contest.champion = EXPERTS[0]
        # Releases that kept no spans are taken to have learned what is asked for now.
        for name, span_ms in state.get("spans_ms", self._spans_ms).items():
            if span_ms != self._spans_ms[name]:
                models[name].ask_anew()
                self._recursive[name].loosen()
                saved[name] = (0, 0)
                self._anew = True
                published_at = 0 if name == EXAMPLE_KINDS[CHURN] else published_at
        self.version, self._published_at = index(state["version"]), published_at
        self._models, self._saved = models, saved

    def _judge(
        self, x: Features32, steps: Any, label: int, landmark_ms: int, matured_ms: int
    ) -> float | None:
        """Let the contest judge a label, and keep the models for later ones when it is time."""
        if self._contest.due(matured_ms) and self._ready():
            self._contest.keep(matured_ms, landmark_ms, self._experts())
        return self._contest.judge(x, steps, landmark_ms, label)

    def _experts(self) -> Experts:
        landmark, bias, _ = self._models[EXAMPLE_KINDS[CHURN]].coefficients()
        newton = self._recursive[EXAMPLE_KINDS[CHURN]].weights
        return Experts(
            weights=np.stack((landmark, newton[:-1])),
            biases=np.array((bias, newton[-1])),
            rolled=self._rolled(),
            bgnbd=self._bgnbd.expert(self.settings.horizon_ms),
            blend=self._contest.blend.weights,
            champion=self._contest.champion,
        )

    def _rolled(self) -> RolledHazard:
        """Return half of AdaGrad's hazard, which follows a change, and half of the other, which errs less."""
        quick, bias, _ = self._models[EXAMPLE_KINDS[HAZARD]].coefficients()
        weights = self._recursive[EXAMPLE_KINDS[HAZARD]].weights
        return RolledHazard((quick + weights[:-1]) / 2, (bias + float(weights[-1])) / 2, self._roll)

    def _all_windows(self) -> dict[str, RecentOutcomes]:
        return self._windows | self._contest.windows

    def _ready(self) -> bool:
        model = self._models[EXAMPLE_KINDS[CHURN]]
        return min(model.positives, model.learned - model.positives) >= self.settings.min_labels

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
