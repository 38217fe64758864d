import ssl
from datetime import timedelta

import pytest

from streams import clients
from streams.broker import free_port
from streams.errors import BrokerUnavailableError
from streams.settings import Settings, load
from streams.settings.sections import Broker

SASL = load(
    environ={},
    bootstrap_servers="a:1,b:2",
    security_protocol="SASL_SSL",
    sasl_mechanism="SCRAM-SHA-512",
    sasl_username="shop",
    sasl_password="hunter2",
).broker


class TestConfigurations:
    def test_credentials_reach_librdkafka(self):
        config = clients.confluent(SASL)
        assert config["sasl.mechanism"] == "SCRAM-SHA-512"
        assert config["sasl.username"] == "shop"
        assert config["sasl.password"] == "hunter2"
        assert config["security.protocol"] == "SASL_SSL"

    def test_librdkafka_accepts_the_configuration(self):
        from confluent_kafka.admin import AdminClient

        AdminClient(clients.confluent(SASL, **{"client.id": "test"}))

    def test_credentials_reach_kafka_python(self):
        config = clients.kafka_python(SASL, client_id="test")
        assert config["bootstrap_servers"] == ["a:1", "b:2"]
        assert config["sasl_plain_password"] == "hunter2"
        assert config["ssl_context"].verify_mode is ssl.CERT_REQUIRED
        assert config["client_id"] == "test"

    def test_credentials_reach_faust(self):
        credentials = clients.faust_credentials(SASL)
        assert credentials.protocol.value == "SASL_SSL"
        assert credentials.mechanism.value == "SCRAM-SHA-512"
        assert credentials.password == "hunter2"
        assert credentials.ssl_context.check_hostname

    def test_tls_without_a_password_reaches_faust(self):
        credentials = clients.faust_credentials(Broker(security_protocol="SSL"))
        assert credentials.protocol.value == "SSL"

    def test_a_plain_connection_has_no_credentials(self):
        broker = Broker(bootstrap_servers="a:1")
        assert clients.faust_credentials(broker) is None
        assert "sasl.mechanism" not in clients.confluent(broker)
        assert "ssl_context" not in clients.kafka_python(broker)

    def test_a_certificate_that_cannot_be_read_is_named(self, tmp_path):
        broker = Broker(security_protocol="SSL", ssl_cafile=tmp_path / "no.pem")
        with pytest.raises(BrokerUnavailableError, match=r"no\.pem"):
            clients.ssl_context(broker)


class TestWaiting:
    def test_a_broker_that_runs_is_found_without_a_word(self, embedded_broker):
        said = []
        broker = Broker(bootstrap_servers=embedded_broker.bootstrap_servers)
        clients.wait_for_broker(broker, say=said.append)
        assert said == []

    def test_the_wait_says_what_it_waits_for_and_ends_with_advice(self):
        said = []
        broker = Broker(bootstrap_servers=f"127.0.0.1:{free_port()}")
        with pytest.raises(BrokerUnavailableError) as raised:
            clients.wait_for_broker(broker, timedelta(seconds=1), said.append)
        assert broker.bootstrap_servers in said[0]
        assert "Connection refused" in str(raised.value)
        assert "keepstream broker" in str(raised.value)
        assert "KEEPSTREAM_BOOTSTRAP_SERVERS" in str(raised.value)

    def test_tls_against_a_plain_broker_is_explained(self, embedded_broker):
        broker = Broker(bootstrap_servers=embedded_broker.bootstrap_servers, security_protocol="SSL")
        with pytest.raises(BrokerUnavailableError, match="SSL"):
            clients.wait_for_broker(broker, timedelta(0), lambda _: None)


def test_without_an_address_the_local_broker_is_meant():
    assert clients.require(Settings()).broker.bootstrap_servers == clients.DEFAULT_BOOTSTRAP
    given = load(environ={}, bootstrap_servers="kafka:1")
    assert clients.require(given) is given
