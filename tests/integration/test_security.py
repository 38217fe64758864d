"""Every client reaches a broker that asks for TLS and a password, and says what is wrong when it does not."""

import subprocess
from datetime import timedelta

import pytest

from streams import clients, topics
from streams.errors import BrokerUnavailableError
from streams.settings import load
from tests.integration.kafka import KafkaServer
from tests.integration.shop import wait_until, workers

pytestmark = pytest.mark.kafka


def make_certificate(directory):
    keytool = [
        "keytool",
        "-keystore",
        directory / "server.p12",
        "-storetype",
        "PKCS12",
        "-storepass",
        "storepass",
    ]
    make = ["-genkeypair", "-alias", "kafka", "-keyalg", "RSA", "-validity", "2", "-dname", "CN=kafka"]
    subprocess.run([*keytool, *make, "-ext", "san=ip:127.0.0.1"], check=True, capture_output=True)
    export = ["-exportcert", "-alias", "kafka", "-rfc", "-file", directory / "ca.pem"]
    subprocess.run([*keytool, *export], check=True, capture_output=True)


@pytest.fixture(scope="module")
def secure(tmp_path_factory, kafka_or_skip):
    directory = tmp_path_factory.mktemp("secure-kafka")
    make_certificate(directory)
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    server = KafkaServer(
        directory / "kafka",
        {
            "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.secure.plain.sasl.jaas.config": f'{login} user_shop="hunter2";',
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(directory / "server.p12"),
            "ssl.keystore.password": "storepass",
        },
    )
    address = server.add_listener("SECURE", "SASL_SSL")
    with server:
        yield {
            "bootstrap_servers": address,
            "security_protocol": "SASL_SSL",
            "sasl_username": "shop",
            "sasl_password": "hunter2",
            "ssl_cafile": directory / "ca.pem",
        }


def test_confluent_kafka_and_kafka_python_get_in(secure, topic_prefix):
    settings = load(environ={}, topic_prefix=topic_prefix, **secure)
    clients.wait_for_broker(settings.broker, say=lambda _: None)
    assert len(topics.ensure(settings)) == len(topics.TOPICS)


async def test_faust_s_client_gets_in(secure):
    from aiokafka import AIOKafkaProducer
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    broker = load(environ={}, **secure).broker
    auth = credentials_to_aiokafka_auth(clients.faust_credentials(broker))
    client = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, **auth)
    await client.start()
    await client.stop()


def test_a_wrong_password_is_refused_at_once_and_not_shown(secure):
    broker = load(environ={}, **secure | {"sasl_password": "hunter3"}).broker
    with pytest.raises(BrokerUnavailableError, match="refuses the connection") as raised:
        clients.wait_for_broker(broker, timedelta(seconds=60), say=lambda _: None)
    assert "sasl_*" in str(raised.value)
    assert "hunter3" not in str(raised.value)


def test_a_broker_nobody_vouches_for_is_not_trusted(secure):
    broker = load(environ={}, **secure | {"ssl_cafile": None}).broker
    with pytest.raises(BrokerUnavailableError, match=r"(?i)certificate"):
        clients.wait_for_broker(broker, timedelta(seconds=3), say=lambda _: None)


def test_the_password_reaches_the_commands_through_a_file(secure, tmp_path, capsys, topic_prefix):
    from streams.cli import run

    (tmp_path / "password").write_text("hunter2\n")
    config = tmp_path / "keepstream.toml"
    lines = {
        name: secure[name]
        for name in ("bootstrap_servers", "security_protocol", "sasl_username", "ssl_cafile")
    }
    config.write_text("[broker]\n" + "".join(f'{name} = "{value}"\n' for name, value in lines.items()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEEPSTREAM_SASL_PASSWORD_FILE", str(tmp_path / "password"))
        assert run(["topics", "create", "--config", str(config), "--topic-prefix", topic_prefix]) == 0
    assert f"{len(topics.TOPICS)} topics created" in capsys.readouterr().out


def test_a_worker_works_and_its_log_shows_no_password(secure, tmp_path, topic_prefix):
    settings = load(environ={}, topic_prefix=topic_prefix, group=f"{topic_prefix}k", **secure)
    started = workers(settings, tmp_path)
    worker = next(started)(
        KEEPSTREAM_SECURITY_PROTOCOL="SASL_SSL",
        KEEPSTREAM_SASL_USERNAME="shop",
        KEEPSTREAM_SASL_PASSWORD="hunter2",
        KEEPSTREAM_SSL_CAFILE=str(secure["ssl_cafile"]),
        KEEPSTREAM_LOG_LEVEL="debug",
    )
    wait_until(lambda: bool(worker.url) and worker.metrics().get("keepstream_ready") == 1, "readiness")
    assert worker.terminate() == 0
    assert "restored" in worker.said
    assert "hunter2" not in worker.said
    next(started, None)
