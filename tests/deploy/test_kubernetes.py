"""The Kubernetes objects fit their schemas, one another, the topic table, the settings and the rules."""

from datetime import timedelta
from importlib.metadata import version

import jsonschema
import kubernetes_validate
import pytest
import yaml

from streams.settings import duration, load
from streams.topics import TOPICS
from tests.deploy.crds import schema
from tests.deploy.test_prometheus import RULES
from tests.deploy.tools import ROOT

DIRECTORY = ROOT / "deploy" / "kubernetes"
SUPPORTED = ("1.29.0", "1.33.0", "1.37.0")
POD_LABELS = {"app.kubernetes.io/name": "keepstream", "app.kubernetes.io/component": "worker"}


@pytest.fixture(scope="module")
def kinds(manifests):
    """Return the objects by kind and name."""
    return {(one["kind"], one["metadata"]["name"]): one for one in manifests}


@pytest.fixture(scope="module")
def environment(manifests):
    (config,) = [one for one in manifests if one["kind"] == "ConfigMap"]
    return config["data"]


@pytest.fixture(scope="module")
def pod(kinds):
    return kinds["StatefulSet", "keepstream"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def worker(pod):
    (container,) = pod["containers"]
    return container


def users(kinds):
    return {
        name: one["spec"]["authorization"]["acls"]
        for (kind, name), one in kinds.items()
        if kind == "KafkaUser"
    }


def labelled(labels, selector):
    return selector.items() <= labels.items()


class TestSchemas:
    @pytest.mark.parametrize("release", SUPPORTED)
    def test_every_object_is_valid(self, manifests, release):
        for one in manifests:
            custom = schema(one["apiVersion"], one["kind"])
            if custom is None:
                kubernetes_validate.validate(one, release, strict=True)
            else:
                jsonschema.validate(one, custom)

    def test_an_unknown_field_is_found(self, kinds):
        broken = yaml.safe_load(yaml.safe_dump(kinds["StatefulSet", "keepstream"]))
        broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, SUPPORTED[-1], strict=True)

    def test_kustomize_takes_every_file(self):
        named = yaml.safe_load((DIRECTORY / "kustomization.yaml").read_text())
        files = {path.name for path in DIRECTORY.iterdir()} - {"kustomization.yaml", "keepstream.env"}
        assert set(named["resources"]) == files


class TestWorkers:
    def test_their_settings_can_be_loaded(self, environment, worker, tmp_path):
        variables = {one["name"]: one.get("value", "keepstream-0") for one in worker["env"]}
        (tmp_path / "token").write_text("secret\n")
        variables["KEEPSTREAM_API_TOKEN_FILE"] = str(tmp_path / "token")
        settings = load(environ=environment | variables)
        assert settings.http.api_token.reveal() == "secret"
        assert settings.engine.instance == "keepstream-0"
        assert settings.http.http_port == worker["ports"][0]["containerPort"]

    def test_no_variable_of_a_service_can_be_taken_for_a_setting(self, pod):
        assert pod["enableServiceLinks"] is False

    def test_the_image_is_this_version(self, worker):
        assert worker["image"] == f"keepstream:{version('keepstream')}"

    def test_they_may_do_nothing_but_work(self, pod, worker):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert worker["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert worker["resources"]["limits"]["memory"] == worker["resources"]["requests"]["memory"]

    def test_files_that_settings_name_are_mounted_and_directories_writable(self, environment, pod, worker):
        mounts = {mount["mountPath"]: mount["name"] for mount in worker["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        paths = [value for name, value in environment.items() if name.endswith("FILE")]
        paths += [one["value"] for one in worker["env"] if one["name"].endswith("_FILE")]
        assert len(paths) == 4
        for path in paths:
            directory, _, file = path.rpartition("/")
            items = volumes[mounts[directory]]["secret"]["items"]
            assert file in {item["path"] for item in items}
        assert "emptyDir" in volumes[mounts[environment["KEEPSTREAM_DATA_DIR"]]]

    def test_secrets_come_from_strimzi_or_the_documentation(self, kinds, pod):
        page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        for volume in pod["volumes"]:
            if "secret" in volume:
                name = volume["secret"]["secretName"]
                made_by_strimzi = ("KafkaUser", name) in kinds or name == "kafka-cluster-ca-cert"
                assert made_by_strimzi or f"create secret generic {name}" in page

    def test_a_worker_has_time_to_commit_before_it_is_killed(self, environment, pod):
        grace = timedelta(seconds=pod["terminationGracePeriodSeconds"])
        assert grace >= load(environ=environment).engine.stop_deadline + timedelta(seconds=15)


class TestProbes:
    def test_startup_covers_waiting_for_kafka_and_recovery(self, environment, worker):
        probe = worker["startupProbe"]
        allowed = timedelta(seconds=probe["periodSeconds"] * probe["failureThreshold"])
        settings = load(environ=environment)
        assert probe["httpGet"]["path"] == "/health/ready"
        assert allowed >= 2 * (settings.broker.broker_wait + settings.engine.restore_deadline)

    def test_readiness_and_liveness_are_different_questions(self, worker):
        assert worker["readinessProbe"]["httpGet"]["path"] == "/health/ready"
        assert worker["livenessProbe"]["httpGet"]["path"] == "/health/live"

    def test_a_long_batch_is_no_reason_to_kill(self, worker):
        probe = worker["livenessProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 60

    def test_they_ask_routes_that_exist(self, worker):
        routes = (ROOT / "streams" / "api" / "routes.py").read_text()
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert f'"{worker[name]["httpGet"]["path"]}"' in routes
            assert worker[name]["httpGet"]["port"] == worker["ports"][0]["name"]


class TestSelectors:
    def test_everything_selects_the_workers(self, kinds):
        template = kinds["StatefulSet", "keepstream"]["spec"]["template"]["metadata"]["labels"]
        assert POD_LABELS.items() <= template.items()
        selectors = [
            kinds["StatefulSet", "keepstream"]["spec"]["selector"]["matchLabels"],
            kinds["Service", "keepstream"]["spec"]["selector"],
            kinds["Service", "keepstream-api"]["spec"]["selector"],
            kinds["PodDisruptionBudget", "keepstream"]["spec"]["selector"]["matchLabels"],
            kinds["NetworkPolicy", "keepstream"]["spec"]["podSelector"]["matchLabels"],
        ]
        assert all(labelled(template, selector) for selector in selectors)

    def test_prometheus_scrapes_one_service_under_the_name_that_the_rules_ask_for(self, kinds):
        monitor = kinds["ServiceMonitor", "keepstream"]["spec"]
        services = [one for (kind, _), one in kinds.items() if kind == "Service"]
        (found,) = [
            one for one in services if labelled(one["metadata"]["labels"], monitor["selector"]["matchLabels"])
        ]
        assert found["spec"]["publishNotReadyAddresses"] is True
        assert found["metadata"]["labels"][monitor["jobLabel"]] == "keepstream"
        assert monitor["endpoints"][0]["port"] in {port["name"] for port in found["spec"]["ports"]}

    def test_the_network_lets_through_what_is_needed(self, kinds, environment):
        policy = kinds["NetworkPolicy", "keepstream"]["spec"]
        assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
        out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        kafka_port = int(environment["KEEPSTREAM_BOOTSTRAP_SERVERS"].rpartition(":")[2])
        assert out == {kafka_port, 6066, 53}
        assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == {6066}

    def test_a_disruption_takes_one_worker_at_a_time(self, kinds):
        assert kinds["PodDisruptionBudget", "keepstream"]["spec"]["maxUnavailable"] == 1


class TestScaling:
    def test_it_watches_the_group_and_topics_of_the_workers(self, kinds, environment):
        settings = load(environ=environment)
        scaled = kinds["ScaledObject", "keepstream"]["spec"]
        names = {topic.full_name(settings) for topic in TOPICS if topic.partitions == "events"}
        for trigger in scaled["triggers"]:
            assert trigger["metadata"]["consumerGroup"] == settings.engine.group
            assert trigger["metadata"]["topic"] in names
            assert trigger["metadata"]["bootstrapServers"] == settings.broker.bootstrap_servers
            assert ("TriggerAuthentication", trigger["authenticationRef"]["name"]) in kinds
        assert ("StatefulSet", scaled["scaleTargetRef"]["name"]) in kinds

    def test_there_are_never_more_workers_than_partitions_and_never_one(self, kinds, environment):
        scaled = kinds["ScaledObject", "keepstream"]["spec"]
        assert scaled["maxReplicaCount"] == load(environ=environment).topics.events_partitions
        assert scaled["minReplicaCount"] >= 2
        assert "replicas" not in kinds["StatefulSet", "keepstream"]["spec"]

    def test_its_credentials_are_those_of_its_own_user(self, kinds):
        references = kinds["TriggerAuthentication", "keepstream-scaler"]["spec"]["secretTargetRef"]
        assert {ref["name"] for ref in references} == {"keepstream-scaler", "kafka-cluster-ca-cert"}
        assert ("KafkaUser", "keepstream-scaler") in kinds


class TestKafka:
    def test_topics_are_those_of_the_table(self, kinds, environment):
        settings = load(environ=environment)
        found = {name: one["spec"] for (kind, name), one in kinds.items() if kind == "KafkaTopic"}
        assert set(found) == {topic.full_name(settings) for topic in TOPICS}
        for topic in TOPICS:
            spec = found[topic.full_name(settings)]
            configs = {key: str(value) for key, value in spec["config"].items()}
            assert configs == topic.configs(settings)
            expected = 1 if topic.partitions == "one" else settings.topics.events_partitions
            assert (spec["partitions"], spec["replicas"]) == (expected, settings.topics.replication_factor)

    def test_nobody_may_change_topics_and_only_the_shop_writes_events(self, kinds):
        for name, acls in users(kinds).items():
            for acl in acls:
                assert not {"All", "Create", "Delete", "Alter", "AlterConfigs"} & set(acl["operations"])
                if acl["resource"]["name"] == "clickstream.events.v1" and name != "keepstream-shop":
                    assert "Write" not in acl["operations"]

    def test_objects_belong_to_the_cluster_that_the_settings_reach(self, kinds, environment):
        clusters = {
            one["metadata"]["labels"]["strimzi.io/cluster"]
            for (kind, _), one in kinds.items()
            if kind in ("KafkaTopic", "KafkaUser")
        }
        (cluster,) = clusters
        assert environment["KEEPSTREAM_BOOTSTRAP_SERVERS"].startswith(f"{cluster}-kafka-bootstrap:")


def test_prometheus_gets_the_same_rules(kinds):
    assert kinds["PrometheusRule", "keepstream"]["spec"] == RULES


def test_a_pod_that_is_replaced_is_back_before_its_session_ends(environment):
    assert duration(environment["KEEPSTREAM_SESSION_TIMEOUT"]) > load(environ={}).engine.session_timeout
