"""Options that several commands share, each written once."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file (TOML); else KEEPSTREAM_CONFIG names one."),
]
BootstrapServers = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        metavar="HOST:PORT,...",
        help="Address of Kafka; wins over settings and environment.",
    ),
]
TopicPrefix = Annotated[
    str | None, typer.Option("--topic-prefix", metavar="TEXT", help="Put before the name of every topic.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="DIR", help="Directory of the embedded broker's log and of lock files."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
