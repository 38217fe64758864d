"""The Kafka users of the Kubernetes objects, with certificates and an authorizer: enough, and no more."""

import shutil
import subprocess

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from streams import topics
from streams.settings import load
from tests.deploy import tools
from tests.integration.kafka import KafkaServer
from tests.integration.shop import Shop, wait_until, workers

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

USERS = ("keepstream", "keepstream-scaler", "keepstream-shop")
TYPES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
}
PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def find_openssl():
    if shutil.which("openssl") is None:
        raise tools.MissingToolError("there is no openssl")
    return ["openssl"]


def make_certificates(directory):
    """Make what Strimzi makes: an authority, the broker's certificate, one for each user."""
    directory.mkdir()
    new = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
    openssl(directory, "req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca")
    (directory / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("broker", *USERS):
        request = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"]
        openssl(directory, "req", *new[:3], *request)
        sign = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san"]
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *sign)
    pair = (directory / "broker.key").read_text() + (directory / "broker.crt").read_text()
    (directory / "broker.pem").write_text(pair)


class Cluster:
    """A broker with an authorizer, the topics and the rights of the manifests."""

    def __init__(self, directory, manifests):
        self.certificates = directory / "certificates"
        make_certificates(self.certificates)
        self.server = KafkaServer(
            directory / "kafka",
            {
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                # The listener without certificates is the broker's own and the test's.
                "super.users": "User:ANONYMOUS",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self.certificates / "broker.pem"),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.certificates / "ca.crt"),
                "ssl.client.auth": "required",
            },
        )
        self.address = self.server.add_listener("TLS", "SSL")
        self.manifests = manifests

    def prepare(self):
        """Create the topics and rights of the manifests, with one copy on the one broker."""
        admin = AdminClient({"bootstrap.servers": self.server.bootstrap_servers})
        wanted = []
        for one in self.manifests:
            if one["kind"] == "KafkaTopic":
                config = {key: str(value) for key, value in one["spec"]["config"].items()}
                config.pop("min.insync.replicas")
                count = min(2, one["spec"]["partitions"])
                wanted.append(NewTopic(one["metadata"]["name"], count, 1, config=config))
        acls = [
            AclBinding(
                TYPES[acl["resource"]["type"]],
                acl["resource"]["name"],
                PATTERNS[acl["resource"]["patternType"]],
                f"User:CN={one['metadata']['name']}",
                "*",
                OPERATIONS[operation],
                AclPermissionType.ALLOW,
            )
            for one in self.manifests
            if one["kind"] == "KafkaUser"
            for acl in one["spec"]["authorization"]["acls"]
            for operation in acl["operations"]
        ]
        for future in (*admin.create_topics(wanted).values(), *admin.create_acls(acls).values()):
            future.result(30)

    def variables(self, user):
        return {
            "KEEPSTREAM_SECURITY_PROTOCOL": "SSL",
            "KEEPSTREAM_SSL_CAFILE": str(self.certificates / "ca.crt"),
            "KEEPSTREAM_SSL_CERTFILE": str(self.certificates / f"{user}.crt"),
            "KEEPSTREAM_SSL_KEYFILE": str(self.certificates / f"{user}.key"),
        }

    def client(self, user, **more):
        return {
            "bootstrap.servers": self.address,
            "security.protocol": "SSL",
            "ssl.ca.location": str(self.certificates / "ca.crt"),
            "ssl.certificate.location": str(self.certificates / f"{user}.crt"),
            "ssl.key.location": str(self.certificates / f"{user}.key"),
            **more,
        }

    def refused(self, call):
        """Return Kafka's name of the error with which a call is refused, None where it is not."""
        try:
            call()
        except KafkaException as error:
            return error.args[0].name()
        return None

    def send(self, user, topic):
        """Return Kafka's name of the error for a record that a user sends; None when it was taken."""
        producer, errors = Producer(self.client(user, **{"message.timeout.ms": 20_000})), []
        producer.produce(topic, b"{}", b"k", on_delivery=lambda error, _: errors.append(error))
        producer.flush(30)
        return errors[0] and errors[0].name()


@pytest.fixture(scope="module")
def cluster(manifests, kafka_or_skip, tmp_path_factory):
    tools.or_skip(find_openssl)
    made = Cluster(tmp_path_factory.mktemp("privilege"), manifests)
    with made.server:
        made.prepare()
        yield made


@pytest.fixture
def start(cluster, tmp_path):
    settings = load(environ={}, bootstrap_servers=cluster.address)
    yield from workers(settings, tmp_path)


def test_a_worker_works_restores_and_scales_with_its_rights_alone(cluster, start):
    shop = Shop(load(environ={}, bootstrap_servers=cluster.server.bootstrap_servers))
    rights = cluster.variables("keepstream")
    first = start("keepstream-0", **rights)
    shop.send_events(1_000)
    shop.send_bad("not_json", b"{")
    shop.flush()
    wait_until(lambda: first.judged() >= shop.accepted + shop.duplicates + 1, "every event judged")

    def lists():
        shop.send_events(20)  # a list follows a touch, once neighbours have been read back
        return first.metrics()["keepstream_recommendation_lists_total"] > 0

    wait_until(lists, "lists")
    first.kill()
    second = start("keepstream-1", **rights)
    wait_until(lambda: (second.ask("/health/ready") or {}).get("ready"), "the state restored")
    shop.send_events(200)
    user, counts = next(iter(shop.event_counts.items()))

    def counted():
        return (second.user(user) or {}).get("event_counts") == dict(counts)

    wait_until(counted, "exact counts after the restore")
    for worker in (first, second):
        assert "authoriz" not in worker.said.lower()
    for topic in (topics.RECOMMENDATIONS, topics.DEAD_LETTERS, topics.NEIGHBOURS):
        assert shop.read(topic), topic.name


def test_a_worker_may_neither_invent_events_nor_touch_topics(cluster):
    admin = AdminClient(cluster.client("keepstream"))
    create = admin.create_topics([NewTopic("another", 1, 1)])["another"]
    delete = admin.delete_topics([topics.SCORES.name])[topics.SCORES.name]
    assert cluster.refused(lambda: create.result(30)) == "TOPIC_AUTHORIZATION_FAILED"
    assert cluster.refused(lambda: delete.result(30)) == "TOPIC_AUTHORIZATION_FAILED"
    assert cluster.send("keepstream", topics.EVENTS.name) == "TOPIC_AUTHORIZATION_FAILED"


def test_the_scaler_sees_the_lag_and_reads_nothing(cluster):
    scaler = Consumer(cluster.client("keepstream-scaler", **{"group.id": "keepstream"}))
    for topic in (topics.EVENTS, topics.ITEM_PAIRS):
        place = TopicPartition(topic.name, 0)
        assert scaler.get_watermark_offsets(place, 30)[1] > 0
        assert scaler.committed([place], 30)[0].error is None
    scaler.assign([TopicPartition(topics.EVENTS.name, 0, 0)])
    message = scaler.poll(30)
    assert message.error().name() == "TOPIC_AUTHORIZATION_FAILED"
    scaler.close()
    assert cluster.send("keepstream-scaler", topics.EVENTS.name) == "TOPIC_AUTHORIZATION_FAILED"


def test_the_shop_sends_events_and_cannot_forge_what_workers_write(cluster):
    assert cluster.send("keepstream-shop", topics.EVENTS.name) is None
    for topic in (topics.RECOMMENDATIONS, topics.MODELS, topics.USERS_CHANGELOG):
        assert cluster.send("keepstream-shop", topic.name) == "TOPIC_AUTHORIZATION_FAILED"


def test_somebody_without_a_certificate_gets_nothing(cluster):
    stranger = AdminClient(
        {
            "bootstrap.servers": cluster.address,
            "security.protocol": "SSL",
            "ssl.ca.location": str(cluster.certificates / "ca.crt"),
            "log_level": 0,
        }
    )
    assert cluster.refused(lambda: stranger.list_topics(timeout=10)) is not None
