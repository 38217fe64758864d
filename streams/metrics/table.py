"""The one table of metrics: name, kind, unit, labels and meaning are written nowhere else."""

from typing import Final, get_args

from online_models.churn.alerts import WithheldReason
from online_models.churn.feature_drift import WATCHED
from online_models.churn.labels import EXAMPLE_KINDS
from online_models.churn.quarantine import MutedReason
from online_models.events import RejectReason
from streams.metrics.metric import Metric, counter, gauge, histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0)
_BYTES: Final = tuple(float(4**n * 1024) for n in range(9))
_AGENTS: Final = ("users", "items", "trainer", "ranker")
_RECORDS: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)

# -- events in --------------------------------------------------------------------------------------------

EVENTS_ACCEPTED: Final = counter(
    "keepstream_events_accepted_total", "events", "Events that were applied to the state of their user."
)
EVENTS_DUPLICATE: Final = counter(
    "keepstream_events_duplicate_total",
    "events",
    "Events dropped because their event_id was seen within the dedupe window.",
)
EVENTS_REJECTED: Final = counter(
    "keepstream_events_rejected_total",
    "events",
    "Events sent to the dead-letter topic.",
    "reason",
    values=get_args(RejectReason),
)
EVENTS_MUTED: Final = counter(
    "keepstream_events_muted_total",
    "events",
    "Accepted events that count for their user but are not learned from: burst, beyond hourly_events; "
    "anomaly, while a user who looks like a machine is in quarantine.",
    "reason",
    values=get_args(MutedReason),
)
REJECT_RATIO: Final = gauge(
    "keepstream_reject_ratio",
    "share",
    "Rejected share of the events of the last five minutes; 0 when there were none.",
)
REJECT_ALERT: Final = gauge(
    "keepstream_reject_alert",
    "1 or 0",
    "1 while keepstream_reject_ratio is above its limit: a producer is broken.",
)
EVENT_TIME_LAG: Final = gauge(
    "keepstream_event_time_lag_seconds",
    "seconds",
    "Wall clock minus the event-time clock of a partition; it grows while no event comes, and shows the age "
    "of the events while history is replayed.",
    "partition",
)

# -- reading and applying -----------------------------------------------------------------------------------

RECORDS_APPLIED: Final = counter(
    "keepstream_records_applied_total", "records", "Records applied, by agent.", "agent"
)
BATCH_TIME: Final = histogram(
    "keepstream_batch_seconds", "seconds", "Time to apply one batch of records.", _SECONDS, "agent"
)
BATCH_RECORDS: Final = histogram(
    "keepstream_batch_records", "records", "Records of one batch.", _RECORDS, "agent"
)
LAG: Final = gauge(
    "keepstream_lag_records",
    "records",
    "Committed records of a partition that are not applied yet.",
    "topic",
    "partition",
)
REWINDS: Final = counter(
    "keepstream_rewinds_total",
    "rewinds",
    "Batches that did not continue the last applied one; their partition was read again from its position.",
    "topic",
)
APPLY_FAILURES: Final = counter(
    "keepstream_apply_failures_total",
    "failures",
    "Exceptions raised while applying; the partition is restored and tried again.",
    "agent",
    values=_AGENTS,
)
POISONED: Final = counter(
    "keepstream_poisoned_records_total",
    "records",
    "Records set aside because applying one alone raised an exception.",
    "agent",
    values=_AGENTS,
)
GAP: Final = counter(
    "keepstream_gap_records_total",
    "records",
    "Offsets passed over with --accept-gap because the log no longer held them.",
    "topic",
)

# -- partitions and restore ---------------------------------------------------------------------------------

PARTITIONS_ASSIGNED: Final = gauge(
    "keepstream_partitions_assigned",
    "partitions",
    "Partitions that the group has given to this worker.",
    "agent",
)
PARTITIONS_OPEN: Final = gauge(
    "keepstream_partitions_open", "partitions", "Assigned partitions that are restored and read.", "agent"
)
GENERATION: Final = gauge(
    "keepstream_group_generation",
    "generation",
    "Generation of the consumer group in which partitions are held; 0 without one.",
)
READY: Final = gauge(
    "keepstream_ready", "1 or 0", "1 when /health/ready answers yes: restored, broadcasts read to their ends."
)
RESTORE_REMAINING: Final = gauge(
    "keepstream_restore_remaining_records",
    "records",
    "Changelog records still to be read before a partition opens.",
    "topic",
    "partition",
)
RESTORE_TIME: Final = histogram(
    "keepstream_restore_seconds", "seconds", "Time to restore a partition.", _LONG_SECONDS, "topic"
)
RESTORED_ROWS: Final = counter(
    "keepstream_restored_rows_total", "rows", "Changelog rows read back by restores.", "topic"
)
DROPPED: Final = counter(
    "keepstream_partitions_dropped_total", "partitions", "Partitions given up, for whatever reason.", "topic"
)

# -- checkpoints --------------------------------------------------------------------------------------------

CHECKPOINTS: Final = counter("keepstream_checkpoints_total", "transactions", "Transactions committed.")
CHECKPOINT_TIME: Final = histogram(
    "keepstream_checkpoint_seconds", "seconds", "Time of a committed transaction, retries included.", _SECONDS
)
CHECKPOINT_SIZE: Final = histogram(
    "keepstream_checkpoint_bytes", "bytes", "Bytes of the values in a committed transaction.", _BYTES
)
CHECKPOINT_AGE: Final = gauge(
    "keepstream_checkpoint_age_seconds",
    "seconds",
    "How long the oldest applied but uncommitted batch has waited; 0 when nothing waits.",
)
CHECKPOINT_LAST: Final = gauge(
    "keepstream_checkpoint_last_timestamp_seconds",
    "Unix time",
    "When the last transaction was committed; 0 before the first.",
)
COMMITTED_ROWS: Final = counter(
    "keepstream_committed_rows_total", "rows", "State rows written to changelogs."
)
COMMITTED_OUTPUTS: Final = counter(
    "keepstream_committed_outputs_total", "records", "Output records written, internal topics included."
)
ABORTS: Final = counter(
    "keepstream_checkpoint_aborts_total",
    "transactions",
    "Transactions aborted and tried again, by Kafka's name of the error.",
    "reason",
)
FENCED: Final = counter(
    "keepstream_fenced_total",
    "commits",
    "Commits refused because the group or another producer had taken over.",
    "reason",
    values=("FencedError", "ClashError"),
)

# -- state and outputs --------------------------------------------------------------------------------------

STATE_ROWS: Final = gauge(
    "keepstream_state_rows", "rows", "Rows of state held in memory.", "agent", "partition"
)
STATE_BYTES: Final = gauge(
    "keepstream_state_bytes",
    "bytes",
    "Memory of the state's columns; ids and indexes come on top.",
    "agent",
    "partition",
)
EVICTED: Final = counter(
    "keepstream_evicted_rows_total",
    "rows",
    "Users or items forgotten: erased on request, idle (state_ttl), full (max_users, max_items); labels and "
    "decisions (cut_off) that were still open when their user was evicted.",
    "agent",
    "reason",
)
DEDUPE_IDS: Final = gauge(
    "keepstream_dedupe_ids", "ids", "Event ids remembered to find duplicates.", "partition"
)
DEDUPE_DROPPED: Final = counter(
    "keepstream_dedupe_dropped_ids_total",
    "ids",
    "Event ids dropped before dedupe_window had passed because there were more than dedupe_max_ids.",
)
BROADCAST_ITEMS: Final = gauge(
    "keepstream_broadcast_items", "items", "Items in the table of neighbours that lists are made from."
)
BROADCAST_BYTES: Final = gauge(
    "keepstream_broadcast_bytes",
    "bytes",
    "Memory of the columns of the table of neighbours; ids come on top.",
)
OUTPUTS: Final = counter(
    "keepstream_outputs_total", "records", "Records produced by the agents, by topic.", "topic"
)
SCORES: Final = counter("keepstream_churn_scores_total", "scores", "Users scored for churn.")
ALERTS: Final = counter(
    "keepstream_churn_alerts_total", "alerts", "Churn alerts raised, by band of probability.", "band"
)
WITHHELD: Final = counter(
    "keepstream_churn_alerts_withheld_total",
    "alerts",
    "Alerts not sent: the day's budget was spent, the user had enough of them, or quiet hours (sent later).",
    "reason",
    values=get_args(WithheldReason),
)
INTERVENTIONS: Final = counter(
    "keepstream_interventions_total",
    "decisions",
    "Win-back decisions, by action.",
    "action",
)
LISTS: Final = counter("keepstream_recommendation_lists_total", "lists", "Recommendation lists published.")
LISTED_ITEMS: Final = counter(
    "keepstream_listed_items_total",
    "items",
    "Items in published lists, by what put them there: the ranking, a boost or a pin of the shop, newness.",
    "reason",
    values=("ranked", "promoted", "pinned", "new"),
)
EXPERIMENT_USERS: Final = gauge(
    "keepstream_experiment_users",
    "users",
    "Users of experiments with lists whose window is over, by variant.",
    "experiment",
    "variant",
)
EXPERIMENT_ESTIMATE: Final = gauge(
    "keepstream_experiment_estimate",
    "1",
    "Rate of a variant's users; difference to the control; low and high: bounds of it at any time.",
    "experiment",
    "variant",
    "metric",
    "bound",
)
CATALOG_ITEMS: Final = gauge("keepstream_catalog_items", "items", "Items of the shop's catalogue.")
LIST_RULES: Final = gauge("keepstream_list_rules", "rules", "Rules of the shop for lists, in force or not.")

# -- models -------------------------------------------------------------------------------------------------

MODEL_QUALITY: Final = gauge(
    "keepstream_model_quality",
    "as the metric says",
    "Prequential quality of a model: every example is predicted before it is learned.",
    "model",
    "metric",
)
RECOMMENDATION_QUALITY: Final = gauge(
    "keepstream_recommendation_quality",
    "as the metric says",
    "Prequential quality of recommendations: every touch is ranked before it is learned.",
    "metric",
)
DRIFTS: Final = counter(
    "keepstream_model_drifts_total",
    "drifts",
    "Drifts that a model's detector has reported.",
    "model",
    values=EXAMPLE_KINDS,
)
FEATURE_DRIFTS: Final = counter(
    "keepstream_feature_drifts_total", "drifts", "Moves of a feature's mean.", "feature", values=WATCHED
)

# -- win-back -----------------------------------------------------------------------------------------------

WINBACK_OUTCOMES: Final = gauge(
    "keepstream_winback_outcomes",
    "decisions",
    "Decisions whose outcome is known, by action; besides holdout, and treated for all others together.",
    "action",
)
WINBACK_RATE: Final = gauge(
    "keepstream_winback_return_rate",
    "share",
    "Share of users who come back within the horizon had everybody got the action (weighted by propensity).",
    "action",
)
WINBACK_UPLIFT: Final = gauge(
    "keepstream_winback_uplift",
    "share",
    "How far the return rate lies above the holdout's: value, and the bounds of its interval of 95 %.",
    "action",
    "bound",
)
WINBACK_SPEND: Final = gauge(
    "keepstream_winback_spend_uplift",
    "currency of the events",
    "How much more is spent within the horizon than in the holdout, per decision.",
    "action",
)
WINBACK: Final = (WINBACK_OUTCOMES, WINBACK_RATE, WINBACK_UPLIFT, WINBACK_SPEND)

# -- value --------------------------------------------------------------------------------------------------

ACTIVE_CUSTOMERS: Final = gauge(
    "keepstream_active_customers",
    "customers",
    "Customers active within a day, a week (7 days), a month (30), as of the end of the last day.",
    "partition",
    "window",
)
CUSTOMERS: Final = gauge(
    "keepstream_customers", "customers", "Known customers by stage of their lifecycle.", "partition", "stage"
)
SEGMENTS: Final = gauge(
    "keepstream_segment_customers", "customers", "Known customers by RFM segment.", "partition", "segment"
)
CUSTOMERS_AT_STAKE: Final = gauge(
    "keepstream_customers_at_stake",
    "customers",
    "Customers whose silence was shorter than the horizon a day before.",
    "partition",
)
CUSTOMERS_CHURNED: Final = gauge(
    "keepstream_customers_churned",
    "customers",
    "Those of them whose silence reached the horizon within the day.",
    "partition",
)
EXPECTED_VALUE: Final = gauge(
    "keepstream_expected_value",
    "currency of the events",
    "What customers are expected to spend within the next horizon.",
    "partition",
)
BOARD: Final = (
    ACTIVE_CUSTOMERS,
    CUSTOMERS,
    SEGMENTS,
    CUSTOMERS_AT_STAKE,
    CUSTOMERS_CHURNED,
    EXPECTED_VALUE,
)

# -- broadcasts ---------------------------------------------------------------------------------------------

BROADCAST_ROWS: Final = counter(
    "keepstream_broadcast_rows_total",
    "rows",
    "Rows of a broadcast topic taken over: model snapshots, neighbours of items.",
    "topic",
)
BROADCAST_LAST: Final = gauge(
    "keepstream_broadcast_last_timestamp_seconds",
    "Unix time",
    "When this worker last took a row of a broadcast topic over; its start before the first.",
    "topic",
)
BROADCAST_REFUSED: Final = counter(
    "keepstream_broadcast_refused_total",
    "records",
    "Models and rows of items that could not be read; what they would have replaced stays in use.",
    "topic",
)

# -- lookups and process ------------------------------------------------------------------------------------

LOOKUPS: Final = counter(
    "keepstream_lookups_total", "requests", "Lookups answered, by kind and HTTP status.", "kind", "status"
)
LOOKUP_TIME: Final = histogram(
    "keepstream_lookup_seconds", "seconds", "Time to answer a lookup, forwarding included.", _SECONDS, "kind"
)
LOOP_LAG: Final = gauge(
    "keepstream_event_loop_lag_seconds",
    "seconds",
    "By how much the event loop's last heartbeat was late; a batch being applied delays it.",
)
INFO: Final = gauge("keepstream_info", "1", "Always 1; the label tells the version.", "version")

TABLE: Final[tuple[Metric, ...]] = tuple(
    line for line in list(globals().values()) if isinstance(line, Metric)
)
"""Every metric, in the order in which it stands above."""
