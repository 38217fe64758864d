"""Settings of the stores out of the settings of a worker: the one place where the two meet."""

from dataclasses import replace

from online_models.churn.quarantine import QuarantineSettings
from online_models.churn.quiet_hours import QuietHours
from online_models.churn.settings import AlertSettings, UserSettings
from online_models.churn.trainer import TrainerSettings
from online_models.experiments.settings import Experiment, ExperimentSettings
from online_models.items.catalogue import Catalogue
from online_models.items.policy import PolicySettings
from online_models.items.rank_trainer import RankTrainerSettings
from online_models.items.settings import CooccurrenceSettings
from online_models.items.shop import Shop
from online_models.pipeline import PipelineSettings
from online_models.winback.settings import ActionSettings, WinbackSettings
from streams.settings import Settings, milliseconds


def user_settings(settings: Settings, partitions: int) -> UserSettings:
    """Return the settings of the users' store of one of `partitions` partitions."""
    churn, events, state, alerts = settings.churn, settings.events, settings.state, settings.alerts
    return UserSettings(
        horizon_ms=milliseconds(churn.horizon),
        check_interval_ms=milliseconds(churn.check_interval),
        landmark_interval_ms=milliseconds(churn.landmark_interval),
        hazard_step_ms=min(milliseconds(churn.hazard_step), milliseconds(churn.horizon)),
        allowed_lateness_ms=milliseconds(events.allowed_lateness),
        dedupe_window_ms=milliseconds(events.dedupe_window),
        tick_ms=milliseconds(settings.clock.tick),
        session_gap_ms=milliseconds(events.session_gap),
        recent_items=events.recent_items,
        pair_distance=settings.recommendations.pair_distance,
        contexts_per_second=settings.recommendations.ranker_examples_per_second / partitions,
        state_ttl_ms=milliseconds(state.state_ttl),
        max_users=state.max_users,
        dedupe_max_ids=state.dedupe_max_ids,
        quarantine=QuarantineSettings(
            hourly_events=settings.quarantine.hourly_events,
            suspicious_events=settings.quarantine.suspicious_events,
            lasts_ms=milliseconds(settings.quarantine.quarantine_time),
        ),
        alerts=AlertSettings(
            threshold=alerts.alert_threshold,
            daily_budget=int(alerts.alert_budget),
            partitions=partitions,
            cooldown_ms=milliseconds(alerts.alert_cooldown),
            rule=alerts.alert_rule,
            hysteresis=alerts.alert_hysteresis,
            cost=alerts.alert_cost,
            margin=alerts.alert_margin,
            frequency_cap=alerts.alert_cap,
            frequency_window_ms=milliseconds(alerts.alert_cap_window),
            quiet_hours=QuietHours.parse(alerts.quiet_hours, alerts.time_zone),
        ),
        winback=winback_settings(settings, partitions),
        experiments=ExperimentSettings(
            tuple(map(Experiment.parse, settings.experiments.experiments)),
            window_ms=milliseconds(settings.experiments.experiment_window),
            lateness_ms=milliseconds(events.allowed_lateness),
            max_users=settings.experiments.experiment_max_users,
        ),
        daily_look=churn.daily_look,
        risky=churn.risky,
    )


def winback_settings(settings: Settings, partitions: int) -> WinbackSettings:
    """Return the settings of win-back in one of `partitions` partitions."""
    winback = settings.winback
    return WinbackSettings(
        actions=tuple(ActionSettings.parse(text) for text in winback.winback_actions),
        holdout=winback.winback_holdout,
        salt=winback.winback_salt,
        exploration=winback.winback_exploration,
        return_value=winback.return_value,
        partitions=partitions,
    )


def cooccurrence_settings(settings: Settings) -> CooccurrenceSettings:
    """Return the settings of the items' store and of the table derived from its broadcast."""
    lists = settings.recommendations
    return CooccurrenceSettings(
        slots=lists.slots,
        half_life_ms=milliseconds(lists.half_life),
        published_partners=lists.partners_published,
        publish_interval_ms=milliseconds(lists.publish_interval),
        max_items=settings.state.max_items,
        state_ttl_ms=milliseconds(settings.state.state_ttl),
    )


def trainer_settings(settings: Settings) -> TrainerSettings:
    """Return the settings of the trainer."""
    horizon_ms = milliseconds(settings.churn.horizon)
    return TrainerSettings(
        min_labels=settings.churn.min_labels,
        daily_budget=int(settings.alerts.alert_budget),
        horizon_ms=horizon_ms,
        hazard_step_ms=min(milliseconds(settings.churn.hazard_step), horizon_ms),
        landmark_interval_ms=milliseconds(settings.churn.landmark_interval),
    )


def ranker_settings(settings: Settings) -> RankTrainerSettings:
    """Return the settings of the ranker's trainer."""
    return RankTrainerSettings(shown_lift=settings.recommendations.shown_lift)


def policy_settings(settings: Settings) -> PolicySettings:
    """Return the settings of the list policy."""
    lists = settings.recommendations
    return PolicySettings(
        repurchase_window_ms=milliseconds(lists.repurchase_window),
        category_share=lists.category_share,
        diversity=lists.diversity,
        popularity_damping=lists.popularity_damping,
        cold_share=lists.cold_share,
    )


def shop_of(settings: Settings) -> Shop:
    """Return a shop of which nothing is known yet."""
    lists = settings.recommendations
    return Shop(Catalogue(lists.catalog_max_items), complete=lists.catalog_complete)


def pipeline_settings(settings: Settings) -> PipelineSettings:
    """Return the settings of all stores in one process."""
    return PipelineSettings(
        # What runs in one process learns from every touch.
        users=replace(user_settings(settings, partitions=1), contexts_per_second=None),
        items=cooccurrence_settings(settings),
        trainer=trainer_settings(settings),
        ranker=ranker_settings(settings),
        policy=policy_settings(settings),
    )
