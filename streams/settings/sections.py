"""Every setting there is: name, type, default, range and help text, each written once.

A setting is added with one line in its section. Its name is unique over all sections, because the environment
variable `KEEPSTREAM_<NAME>` knows no sections.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from online_models.churn.quiet_hours import QuietHours
from online_models.churn.settings import AlertRule
from online_models.errors import InvalidParameterError
from online_models.winback.settings import ActionSettings, WinbackSettings
from streams.settings.lists import Experiments, Recommendations
from streams.settings.protection import Privacy, Quarantine
from streams.settings.section import Section, period, setting
from streams.settings.values import Secret, in_words


@dataclass(frozen=True)
class Broker(Section):
    """Where Kafka is and how to prove who one is."""

    bootstrap_servers: str = setting(
        "",
        "Addresses host:port of Kafka, with commas. Empty: a broker on this machine.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", "How the connection is secured."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = setting(
        "PLAIN", "How user name and password are shown to the broker."
    )
    sasl_username: str = setting("", "User name at the broker.")
    sasl_password: Secret = setting(Secret(), "Password at the broker.")
    ssl_cafile: Path | None = setting(
        None, "Certificates (PEM) of the authorities to trust; none: the system's."
    )
    ssl_certfile: Path | None = setting(
        None, "The client's certificate chain (PEM), where the broker asks for one."
    )
    ssl_keyfile: Path | None = setting(None, "The key (PEM) of the client's certificate.")
    ssl_key_password: Secret = setting(Secret(), "Password of the client's key.")
    topic_prefix: str = setting(
        "", "Put before the name of every topic, so that several shops share a broker."
    )
    broker_wait: timedelta = period(
        "60s", "How long to wait for a broker that does not answer yet.", at_least="0"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            raise InvalidParameterError(
                f"sasl_username and sasl_password are needed with security_protocol {self.security_protocol}"
            )
        if (self.ssl_keyfile is None) != (self.ssl_certfile is None):
            raise InvalidParameterError("ssl_certfile and ssl_keyfile are needed together")
        if not all(
            letter.isascii() and (letter.isalnum() or letter in "._-") for letter in self.topic_prefix
        ):
            raise InvalidParameterError(
                f"topic_prefix may hold letters, digits, '.', '_' and '-' only, not {self.topic_prefix!r}"
            )


@dataclass(frozen=True)
class Topics(Section):
    """How topics are created; existing ones are compared with it."""

    events_partitions: int = setting(
        4, "Partitions of the event topic and of everything keyed like it.", at_least=1, at_most=10_000
    )
    replication_factor: int = setting(1, "Copies of every topic; 3 in production.", at_least=1, at_most=100)
    event_retention: timedelta = period("7d", "How long events stay in the log.", at_least="1m")
    output_retention: timedelta = period(
        "7d", "How long recommendations and alerts stay in the log.", at_least="1m"
    )
    intervention_retention: timedelta = period(
        "30d", "How long win-back decisions and their outcomes stay in the log.", at_least="1m"
    )
    board_retention: timedelta = period(
        "800d", "How long the retention boards of past days stay in the log.", at_least="1m"
    )
    dead_letter_retention: timedelta = period(
        "30d", "How long rejected events stay in the log.", at_least="1m"
    )
    internal_retention: timedelta = period(
        "2d", "How long item pairs and training examples stay in the log.", at_least="1m"
    )


@dataclass(frozen=True)
class Engine(Section):
    """Group membership, checkpoints and the bounds of a worker."""

    group: str = setting("keepstream", "Consumer group and application id; workers of one shop share it.")
    instance: str = setting(
        "", "Stable name of this worker. Empty: the host or pod name and the first free slot."
    )
    data_dir: Path = setting(Path(".keepstream"), "Directory of the embedded broker's log and of lock files.")
    checkpoint_interval: timedelta = period(
        "100ms", "Time between two checkpoints.", at_least="10ms", at_most="60s"
    )
    session_timeout: timedelta = period("10s", "Silence after which a worker counts as gone.", at_least="1s")
    rebalance_timeout: timedelta = period(
        "60s", "Longest wait for all workers to join a new generation.", at_least="1s"
    )
    transaction_timeout: timedelta = period(
        "10s", "Age at which the broker ends a dead worker's transaction.", at_least="1s"
    )
    commit_deadline: timedelta = period("60s", "Longest time a failing checkpoint is retried.", at_least="1s")
    restore_deadline: timedelta = period(
        "10m", "Longest time without progress while state is restored.", at_least="30s"
    )
    revoke_deadline: timedelta = period(
        "20s", "Longest last checkpoint when partitions move away.", at_least="100ms"
    )
    stop_deadline: timedelta = period("20s", "Longest time a worker takes to stop.", at_least="100ms")
    join_deadline: timedelta = period(
        "3m", "Longest wait for the group to admit this worker; after it the worker ends.", at_least="10s"
    )
    stall_deadline: timedelta = period(
        "2m",
        "Longest time a partition may stand still while its log goes on; after it the worker ends.",
        at_least="10s",
    )
    max_pending_rows: int = setting(
        200_000, "Rows and outputs waiting for a checkpoint at which reading pauses.", at_least=1
    )
    max_pending_bytes: int = setting(
        64 * 2**20, "Bytes waiting for a checkpoint at which reading pauses.", at_least=1
    )
    fetch_max_records: int = setting(4_000, "Records of one partition in one batch at most.", at_least=1)
    leave_on_stop: bool = setting(
        False, "Leave the group when stopping, to scale down; else the worker is expected back."
    )
    accept_gap: bool = setting(
        False, "Go on when the log no longer holds the committed position, and count what was missed."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.group:
            raise InvalidParameterError("group must not be empty")
        if self.join_deadline <= self.rebalance_timeout:
            raise InvalidParameterError(
                f"join_deadline ({in_words(self.join_deadline)}) must be above "
                f"rebalance_timeout ({in_words(self.rebalance_timeout)})"
            )
        if self.revoke_deadline >= self.rebalance_timeout:
            raise InvalidParameterError(
                f"revoke_deadline ({in_words(self.revoke_deadline)}) must be below "
                f"rebalance_timeout ({in_words(self.rebalance_timeout)})"
            )


@dataclass(frozen=True)
class Clock(Section):
    """What moves time on."""

    clock: Literal["event", "live"] = setting(
        "event",
        "event: only events move time on; live: the wall clock does too, once a partition is caught up.",
    )
    tick: timedelta = period("1h", "Grid on which due checks run.", at_least="1s")


@dataclass(frozen=True)
class Events(Section):
    """Which events are accepted."""

    allowed_lateness: timedelta = period(
        "1h",
        "An event later than this behind its partition's clock is rejected.",
    )
    dedupe_window: timedelta = period(
        "24h", "Event time in which a repeated event_id is dropped.", at_least="0"
    )
    future_tolerance: timedelta = period(
        "5m", "How far an event may lie ahead of its record's timestamp.", at_least="0"
    )
    max_event_bytes: int = setting(256 * 1024, "Largest accepted event.", at_least=1024, at_most=900_000)
    session_gap: timedelta = period("30m", "Silence that ends a session without session_id.", at_least="1s")
    recent_items: int = setting(10, "Items remembered per user, newest first.", at_least=1, at_most=64)


@dataclass(frozen=True)
class State(Section):
    """How much is kept in memory, and for how long; bounds are per partition."""

    state_ttl: timedelta = period(
        "400d",
        "Silence, in event time, after which a user or an item is forgotten; above twice the horizon.",
        at_least="1h",
    )
    max_users: int = setting(
        1_000_000,
        "Users of a partition; beyond, the longest idle ones are forgotten. 1.6 kB each, 2.3 active.",
        at_least=1,
    )
    max_items: int = setting(
        250_000,
        "Items of a partition; beyond, those that have faded most are forgotten. Up to 3 kB each.",
        at_least=1,
    )
    dedupe_max_ids: int = setting(
        20_000_000,
        "Event ids that a partition remembers; beyond, the oldest are dropped early. 26 to 53 bytes each.",
        at_least=1,
    )


@dataclass(frozen=True)
class Churn(Section):
    """What churn means and how it is learned."""

    horizon: timedelta = period("28d", "A user churned when no activity follows within it.", at_least="1h")
    check_interval: timedelta = period("1d", "Every active user is scored once per interval.", at_least="1m")
    landmark_interval: timedelta = period(
        "7d", "Time between two training landmarks of a user.", at_least="1m"
    )
    hazard_step: timedelta = period("7d", "Window of the short label that matures sooner.", at_least="1m")
    daily_look: bool = setting(
        True, "Publish customers' profiles and the retention board at the end of each day, UTC."
    )
    risky: float = setting(
        0.5, "Probability from which on a profile says at_risk.", at_least=0.0, at_most=1.0
    )
    min_labels: int = setting(100, "Labels of each class before scores come from the model.", at_least=1)


@dataclass(frozen=True)
class Alerts(Section):
    """When a churn alert is raised."""

    alert_threshold: float | None = setting(
        None,
        "Probability at which to alert. Unset: found online from alert_budget.",
        at_least=0.0,
        at_most=1.0,
    )
    alert_budget: float = setting(
        100.0, "Users a day to alert at most, where the threshold is found.", at_least=0.0
    )
    alert_cooldown: timedelta = period("14d", "Least time between two alerts of a user.", at_least="0")
    alert_rule: AlertRule = setting(
        "risk",
        "Whom to alert. risk: at the threshold; value: where spending at risk exceeds the cost; "
        "effect: where win-back is expected to bring back most.",
    )
    alert_hysteresis: float = setting(
        0.0,
        "How far the risk must fall below the threshold before a user is alerted once more.",
        at_least=0.0,
        at_most=1.0,
    )
    alert_cost: float = setting(0.0, "What an alert costs, in the currency of the events.", at_least=0.0)
    alert_margin: float = setting(
        0.3, "Share of a customer's spending that the shop earns.", at_least=0.0, at_most=1.0
    )
    alert_cap: int = setting(3, "Alerts of a user within alert_cap_window at most.", at_least=1, at_most=16)
    alert_cap_window: timedelta = period("90d", "Window of alert_cap.", at_least="0")
    quiet_hours: str = setting(
        "", "Hours like 21:00-08:00 in which no alert is sent: it is held until they end. Needs time_zone."
    )
    time_zone: str = setting("", "Name like Europe/Berlin of the time zone of quiet_hours.")

    def __post_init__(self) -> None:
        super().__post_init__()
        QuietHours.parse(self.quiet_hours, self.time_zone)
        if self.alert_rule != "risk" and self.alert_hysteresis and self.alert_threshold is None:
            raise InvalidParameterError(
                f"alert_hysteresis needs alert_threshold with the alert_rule {self.alert_rule}"
            )


@dataclass(frozen=True)
class Winback(Section):
    """What is done about alerted users, and how that is found out."""

    winback_actions: tuple[str, ...] = setting(
        ("coupon:5:100", "push", "service_call:8:20"),
        "What can be done, each as NAME:COST:DAILY_BUDGET. Empty: alerts carry the hint of a fixed rule.",
    )
    winback_holdout: float = setting(
        0.1,
        "Share of users who are never treated, to measure the effect.",
        at_least=0.0,
        at_most=0.9,
    )
    winback_salt: str = setting("", "Text that draws the holdout; another one draws another.")
    winback_exploration: float = setting(
        0.1, "Share of decisions that is uniform over the possible actions.", at_least=0.01, at_most=1.0
    )
    return_value: float = setting(
        20.0,
        "What a return is worth, in the events' currency: costs are weighed against it.",
        at_least=0.01,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        WinbackSettings(tuple(ActionSettings.parse(text) for text in self.winback_actions))


@dataclass(frozen=True)
class Http(Section):
    """The lookup and metrics server of a worker."""

    http_host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 in a container.")
    http_port: int = setting(6066, "Port to listen on; 0 takes a free one.", at_least=0, at_most=65_535)
    advertised_url: str = setting("", "URL under which other workers reach this one. Empty: host and port.")
    api_token: Secret = setting(
        Secret(),
        "Bearer token that lookups must show. Empty: none on a loopback address, elsewhere lookups are off.",
    )
    rate_limit: float = setting(
        500.0,
        "Lookups a second that an address may ask for, twice as many at once. 0: no limit.",
        at_least=0.0,
    )


@dataclass(frozen=True)
class Logs(Section):
    """What a worker says on standard error."""

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "From which level on to log; debug has a line for every checkpoint."
    )
    log_format: Literal["console", "json"] = setting(
        "console", "Lines for people, or one JSON object a line for machines."
    )


@dataclass(frozen=True)
class Settings:
    """All sections, read once and passed on explicitly."""

    broker: Broker = field(default_factory=Broker)
    topics: Topics = field(default_factory=Topics)
    engine: Engine = field(default_factory=Engine)
    clock: Clock = field(default_factory=Clock)
    events: Events = field(default_factory=Events)
    privacy: Privacy = field(default_factory=Privacy)
    quarantine: Quarantine = field(default_factory=Quarantine)
    state: State = field(default_factory=State)
    churn: Churn = field(default_factory=Churn)
    alerts: Alerts = field(default_factory=Alerts)
    winback: Winback = field(default_factory=Winback)
    recommendations: Recommendations = field(default_factory=Recommendations)
    experiments: Experiments = field(default_factory=Experiments)
    http: Http = field(default_factory=Http)
    logs: Logs = field(default_factory=Logs)
