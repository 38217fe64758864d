"""The compose file, the image and the example settings agree with the code and with one another."""

import re
import subprocess
from datetime import timedelta

import pytest
import yaml

from streams.cli import COMMANDS, LazyGroup
from streams.settings import catalogue, duration, load
from tests.deploy import tools
from tests.deploy.tools import ROOT
from tests.integration import kafka

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
OURS = ("topics", "worker", "simulate")
OTHERS = ("kafka", "prometheus", "grafana")
GROUP_RIGHTS = {"grafana": "472:0", "prometheus": "65534:65534", "kafka": "1000:1000"}


def example_environment():
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_hadolint_has_nothing_to_say_of_the_dockerfile():
    shown = subprocess.run(
        [*tools.or_skip(tools.hadolint), ROOT / "deploy" / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shown.returncode, shown.stdout + shown.stderr) == (0, "")


class TestSettings:
    def test_every_variable_anywhere_in_deployment_files_is_a_setting(self):
        variables = {item.variable for item in catalogue()}
        known = variables | {f"{name}_FILE" for name in variables} | {"KEEPSTREAM_CONFIG"}
        files = [ROOT / "docker-compose.yml", ROOT / ".env.example", *(ROOT / "deploy").rglob("*")]
        for file in (file for file in files if file.is_file()):
            assert set(re.findall(r"KEEPSTREAM_[A-Z_]+", file.read_text())) <= known, file

    @pytest.mark.parametrize("name", OURS)
    def test_the_settings_of_a_service_can_be_loaded_with_those_of_the_example(self, services, name):
        load(environ=example_environment() | services[name]["environment"])

    def test_the_example_shows_the_defaults(self):
        assert load(environ=example_environment()) == load(environ={})

    def test_workers_follow_the_wall_clock_unless_told_otherwise(self, services):
        assert load(environ=services["worker"]["environment"]).clock.clock == "live"
        assert "# KEEPSTREAM_CLOCK=event" in (ROOT / ".env.example").read_text()

    def test_everybody_finds_kafka_where_it_listens(self, services):
        advertised = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        for name in OURS:
            assert f"INSIDE://{services[name]['environment']['KEEPSTREAM_BOOTSTRAP_SERVERS']}" in advertised
        assert "OUTSIDE://localhost:9094" in advertised
        assert services["kafka"]["ports"][0]["published"] == "9094"

    def test_the_http_port_is_published_exposed_checked_and_scraped(self, services):
        port = services["worker"]["environment"]["KEEPSTREAM_HTTP_PORT"]
        (published,) = services["worker"]["ports"]
        assert published["published"].startswith(f"{port}-")
        assert str(published["target"]) == port
        assert f"EXPOSE {port}" in DOCKERFILE
        assert f"KEEPSTREAM_HTTP_PORT={port}" in DOCKERFILE
        assert load(environ={}).http.http_port == int(port)
        scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
        (found,) = scraped["scrape_configs"][0]["dns_sd_configs"]
        assert (found["names"], str(found["port"])) == (["worker"], port)

    def test_the_health_check_asks_a_route_that_the_worker_serves(self):
        (path,) = re.findall(r"/health/\w+", DOCKERFILE)
        assert f'"{path}"' in (ROOT / "streams" / "api" / "routes.py").read_text()


class TestServices:
    def test_there_are_these(self, services):
        assert set(services) == {*OURS, *OTHERS}
        assert [name for name in services if services[name].get("profiles")] == ["simulate"]

    def test_kafka_is_the_version_that_the_tests_run_against(self, services):
        assert services["kafka"]["image"] == f"apache/kafka:{kafka.VERSION}"

    @pytest.mark.parametrize("name", OURS)
    def test_commands_exist(self, services, name):
        command = services[name]["command"][0]
        assert command in COMMANDS
        assert command in LazyGroup(name="keepstream").list_commands(None)

    def test_the_worker_starts_after_kafka_is_healthy_and_the_topics_are_there(self, services):
        conditions = {name: found["condition"] for name, found in services["worker"]["depends_on"].items()}
        assert conditions == {"kafka": "service_healthy", "topics": "service_completed_successfully"}

    @pytest.mark.parametrize("name", OTHERS)
    def test_servers_of_others_have_health_checks_and_come_back(self, services, name):
        assert services[name]["healthcheck"]["test"]
        assert services[name]["restart"] == "unless-stopped"

    def test_a_worker_has_time_to_commit_before_it_is_killed(self, services):
        grace = duration(services["worker"]["stop_grace_period"])
        assert grace >= load(environ={}).engine.stop_deadline + timedelta(seconds=5)

    def test_topics_are_created_by_us_with_one_copy(self, services):
        environment = services["kafka"]["environment"]
        assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
        assert environment["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == "1"
        assert load(environ={}).topics.replication_factor == 1

    @pytest.mark.parametrize("name", [*OURS, *OTHERS])
    def test_nothing_runs_as_root_or_may_become_it_or_writes_beside_its_volumes(self, services, name):
        service = services[name]
        assert service["user"] == GROUP_RIGHTS.get(name, "10001:10001")
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)

    @pytest.mark.parametrize("name", [*OURS, *OTHERS])
    def test_everything_has_limits(self, services, name):
        limits = services[name]["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} <= set(limits)
        assert services[name]["logging"]["options"]["max-size"]

    @pytest.mark.parametrize("name", [*OURS, *OTHERS])
    def test_nothing_is_published_beyond_this_machine(self, services, name):
        assert all(port["host_ip"] == "127.0.0.1" for port in services[name].get("ports", ()))

    def test_what_must_last_lies_on_volumes(self, services):
        volumes = {
            (name, mount["target"])
            for name, service in services.items()
            for mount in service.get("volumes") or ()
            if mount["type"] == "volume"
        }
        environment = services["kafka"]["environment"]
        assert volumes == {
            ("kafka", environment["KAFKA_LOG_DIRS"]),
            ("worker", services["worker"]["environment"]["KEEPSTREAM_DATA_DIR"]),
            ("prometheus", "/prometheus"),
            ("grafana", "/var/lib/grafana"),
        }

    def test_mounted_files_exist_and_are_read_only(self, services):
        for service in services.values():
            for mount in service.get("volumes") or ():
                if mount["type"] == "bind":
                    assert (ROOT / mount["source"]).exists()
                    assert mount["read_only"]

    def test_no_image_floats(self, services):
        images = [service["image"] for service in services.values()]
        images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
        assert all(re.search(r":v?\d+\.\d+", image) for image in images), images


def test_the_image_has_what_the_build_copies():
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()[:-1]}
    assert {f"!{source}" for source in sources} <= set(ignored)
    assert all((ROOT / source).exists() for source in sources)
