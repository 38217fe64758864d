"""What the demo's shop and worker are like: small, and in compressed time."""

from pathlib import Path
from typing import Final

from streams.settings import Settings, load
from streams.sources.simulator import ShopConfig

USERS: Final = 300
ITEMS: Final = 240
BROKEN: Final = 0.01
"""Share of events broken on purpose."""
REPEATED: Final = 0.005
"""Share of events sent twice on purpose."""

HORIZON_DAYS: Final = 7

CONFIG_NAME: Final = "demo.toml"
_CONFIG: Final = f"""\
# Settings of the demo: weeks of a shop's life pass in a minute, so labels have to mature sooner.
[topics]
events_partitions = 2

[clock]
tick = "6h"

[churn]
horizon = "{HORIZON_DAYS}d"
landmark_interval = "1d"
hazard_step = "3d"
min_labels = 50

[experiments]
experiments = ["spread/control/mmr:diversity=0.3"]
experiment_window = "3d"

[alerts]
alert_budget = 10
alert_cooldown = "7d"
"""


def write_config(directory: Path) -> Path:
    """Write the settings file of the demo's worker and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / CONFIG_NAME
    path.write_text(_CONFIG, encoding="utf-8")
    return path


def settings_of(config: Path, bootstrap_servers: str) -> Settings:
    """Return the settings under which the demo's worker runs, whatever the environment says."""
    return load(config, environ={}, bootstrap_servers=bootstrap_servers, data_dir=config.parent, http_port=0)


def shop_of(seed: int) -> ShopConfig:
    """Return the shop: it goes on until somebody stops listening."""
    return ShopConfig(seed=seed, users=USERS, items=ITEMS, days=None, gap_days=3.0, boredom=0.06)
