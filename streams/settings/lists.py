"""The settings of recommendations: how items are paired, what lists are made of, what is tried with them."""

from dataclasses import dataclass
from datetime import timedelta

from online_models.experiments.settings import Experiment, ExperimentSettings
from streams.settings.section import Section, period, setting


@dataclass(frozen=True)
class Recommendations(Section):
    """Co-occurrence, lists and their policy."""

    list_length: int = setting(20, "Items of a list.", at_least=1, at_most=200)
    slots: int = setting(128, "Partners kept per item.", at_least=4, at_most=1024)
    half_life: timedelta = period("90d", "Time in which an item pair loses half its weight.", at_least="1h")
    pair_distance: int = setting(
        10, "Farthest two touches of a session that make a pair.", at_least=1, at_most=64
    )
    partners_published: int = setting(
        50, "Partners of an item in its broadcast row.", at_least=1, at_most=500
    )
    publish_interval: timedelta = period(
        "1m",
        "Event time after which a changed item row is published anyway; but never twice within five seconds "
        "of the time at which the log was written.",
    )
    ranker_examples_per_second: float = setting(
        20.0,
        "Touches a second, over all partitions, that the ranker learns from: a uniform sample.",
        at_least=0.0,
    )
    shown_lift: float = setting(
        1.0,
        "How many times as often, on top, an item is touched because it stands first in a list that was "
        "shown: the ranker corrects for it. 0 learns from all touches alike.",
        at_least=0.0,
        at_most=100.0,
    )
    repurchase_window: timedelta = period(
        "30d", "Bought items stay out of lists for it; 0 where people buy the same again.", at_least="0"
    )
    category_share: float = setting(
        0.5, "Share of a list that a category may fill before others.", at_least=0.01, at_most=1.0
    )
    diversity: float = setting(
        0.0,
        "Weight of dissimilarity against relevance in a list: 0 ranks by relevance alone.",
        at_least=0.0,
        at_most=0.99,
    )
    popularity_damping: float = setting(
        0.0,
        "Power of an item's popularity by which its odds are divided: 0 leaves the ranking alone.",
        at_least=0.0,
        at_most=1.0,
    )
    cold_share: float = setting(
        0.05,
        "Share of a list kept for new items of the catalogue, where there are any that fit.",
        at_least=0.0,
        at_most=0.5,
    )
    catalog_complete: bool = setting(
        True, "Once the catalogue has items, what it lacks is sold no more and not listed."
    )
    catalog_max_items: int = setting(
        1_000_000, "Items of the catalogue that a worker holds; further ones are refused.", at_least=1
    )


@dataclass(frozen=True)
class Experiments(Section):
    """What is tried on whom with lists, and how it is judged."""

    experiments: tuple[str, ...] = setting(
        (),
        "At most four, each as NAME/CONTROL/VARIANT:KEY=VALUE+KEY=VALUE; a variant can change diversity, "
        "popularity_damping, category_share, cold_share, and ranker (learned or base).",
    )
    experiment_window: timedelta = period(
        "7d", "How long a user is followed after the first list.", at_least="1m"
    )
    experiment_max_users: int = setting(
        100_000,
        "Users of a partition that are followed; further ones see variants and do not count. 0.6 kB each.",
        at_least=1,
    )
    experiment_alpha: float = setting(
        0.05,
        "Chance that an experiment ever shows a difference in a measure where there is none.",
        at_least=0.0001,
        at_most=0.5,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        ExperimentSettings(tuple(map(Experiment.parse, self.experiments)))
