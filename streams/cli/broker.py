"""`keepstream broker`: the embedded broker in the foreground."""

import signal
import sys
from typing import Annotated

import typer

from streams.cli.options import Config, DataDir
from streams.errors import BrokerUnavailableError
from streams.settings import load


def command(
    port: Annotated[int, typer.Option(help="Port on the loopback address; 0 takes a free one.")] = 9092,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Run the embedded broker until Ctrl-C; what it holds is served again at the next start.

    It needs nothing but Python, serves this machine only, and is meant for trying out and for one worker.
    For example:

      keepstream broker

      keepstream broker --port 9093 --data-dir /tmp/another-shop
    """
    from streams.broker import EmbeddedBroker

    settings = load(config, data_dir=data_dir)
    # Asked to end by a supervisor, it stops as cleanly as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with EmbeddedBroker(settings.engine.data_dir / "broker", port) as broker:
        print(f"Kafka listens on {broker.bootstrap_servers}, data in {broker.data_dir}; Ctrl-C stops it")
        sys.stdout.flush()
        code = broker.wait()
    raise BrokerUnavailableError(
        f"the broker ended by itself with code {code}; its output is in {broker.log}"
    )
