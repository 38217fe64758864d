"""What the agents tell the outside; every method does nothing unless overridden."""

from collections.abc import Mapping

from online_models.value.retention import RetentionBoard
from online_models.winback.uplift import Uplift


class Report:
    """Receives the agents' measurements."""

    def events(self, accepted: int, duplicates: int, rejects: Mapping[str, int]) -> None:
        """Handle events judged; `rejects` by reason."""

    def muted(self, reason: str, count: int) -> None:
        """Handle accepted events that are not learned from, by reason."""

    def outputs(self, topic: str, count: int) -> None:
        """Handle records handed to the next transaction."""

    def scores(self, count: int) -> None:
        """Handle users scored."""

    def alerts(self, band: str, count: int) -> None:
        """Handle alerts raised, by band of their probability."""

    def withheld(self, reason: str, count: int) -> None:
        """Handle alerts that were not sent, by reason."""

    def interventions(self, action: str, count: int) -> None:
        """Handle win-back decisions, by action."""

    def uplift(self, action: str, uplift: Uplift) -> None:
        """Handle what an action has come to so far."""

    def board(self, partition: int, board: RetentionBoard) -> None:
        """Handle the retention board of a partition at the end of a day."""

    def lists(self, count: int, ways: Mapping[str, int]) -> None:
        """Handle recommendation lists published, and how many items came into them in which way."""

    def shop(self, items: int, rules: int) -> None:
        """Handle the size of the catalogue, and how many rules there are."""

    def state(self, agent: str, partition: int, rows: int, size: int) -> None:
        """Handle the size of a partition's state, in rows and bytes."""

    def evicted(self, agent: str, reason: str, rows: int) -> None:
        """Handle rows of state forgotten, and why."""

    def dedupe(self, partition: int, ids: int, dropped: int) -> None:
        """Handle the event ids that a partition remembers, and how many it has just dropped too early."""

    def event_time(self, partition: int, clock_ms: int) -> None:
        """Handle the event-time clock of a partition of events, epoch milliseconds."""

    def model_quality(self, model: str, metric: str, value: float) -> None:
        """Handle a prequential metric of a model."""

    def recommendation_quality(self, metric: str, value: float) -> None:
        """Handle a prequential metric of the recommendations."""

    def drift(self, model: str) -> None:
        """Handle a drift found by a model's detector."""

    def feature_drift(self, feature: str) -> None:
        """Handle a change of the mean of a feature of the churn model."""
