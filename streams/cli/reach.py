"""The settings of a command that talks to the broker, once the broker answers."""

import typer

from streams.cli.options import BootstrapServers, Config, TopicPrefix
from streams.settings import Settings, load


def reach(config: Config, bootstrap_servers: BootstrapServers, topic_prefix: TopicPrefix) -> Settings:
    """Return settings with the address of a broker that answers; what is waited for goes to standard error.

    Raises
    ------
    BrokerUnavailableError
        If none answers within `broker_wait`.
    """
    from streams import clients

    settings = clients.require(load(config, bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix))
    clients.wait_for_broker(settings.broker, say=lambda text: typer.echo(text, err=True))
    return settings
