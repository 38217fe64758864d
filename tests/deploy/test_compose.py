"""The compose file, the image and the example settings agree with the code and with one another."""

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from streams.cli import COMMANDS, LazyGroup
from streams.settings import catalogue, duration, load
from tests.integration import kafka

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
SERVICES = COMPOSE["services"]
OURS = ("topics", "worker")


def example_environment():
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def has_compose():
    docker = shutil.which("docker")
    return (
        docker
        and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not has_compose(), reason="docker compose is not installed")
def test_docker_compose_accepts_the_file():
    command = ["docker", "compose", "--file", ROOT / "docker-compose.yml", "config", "--format", "json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert set(json.loads(shown.stdout)["services"]) == set(SERVICES)


class TestSettings:
    def test_every_variable_anywhere_in_deployment_files_is_a_setting(self):
        known = {item.variable for item in catalogue()} | {"KEEPSTREAM_CONFIG"}
        files = [ROOT / "docker-compose.yml", ROOT / ".env.example", *(ROOT / "deploy").rglob("*")]
        for file in (file for file in files if file.is_file()):
            assert set(re.findall(r"KEEPSTREAM_[A-Z_]+", file.read_text())) <= known, file

    @pytest.mark.parametrize("name", OURS)
    def test_the_settings_of_a_service_can_be_loaded_with_those_of_the_example(self, name):
        load(environ=example_environment() | SERVICES[name]["environment"])

    def test_the_example_shows_the_defaults(self):
        defaults = load(environ={})
        assert load(environ=example_environment()) == defaults

    def test_everybody_finds_kafka_where_it_listens(self):
        advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        for name in OURS:
            assert f"INSIDE://{SERVICES[name]['environment']['KEEPSTREAM_BOOTSTRAP_SERVERS']}" in advertised
        assert "OUTSIDE://localhost:9094" in advertised
        assert SERVICES["kafka"]["ports"] == ["127.0.0.1:9094:9094"]

    def test_the_http_port_is_published_exposed_and_checked(self):
        port = SERVICES["worker"]["environment"]["KEEPSTREAM_HTTP_PORT"]
        assert SERVICES["worker"]["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert f"EXPOSE {port}" in DOCKERFILE
        assert f"KEEPSTREAM_HTTP_PORT={port}" in DOCKERFILE
        assert load(environ={}).http.http_port == int(port)

    def test_the_health_check_asks_a_route_that_the_worker_serves(self):
        (path,) = re.findall(r"/health/\w+", DOCKERFILE)
        assert f'"{path}"' in (ROOT / "streams" / "api" / "routes.py").read_text()


class TestServices:
    def test_kafka_is_the_version_that_the_tests_run_against(self):
        assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka.VERSION}"

    @pytest.mark.parametrize("name", OURS)
    def test_commands_exist(self, name):
        command = SERVICES[name]["command"][0]
        assert command in COMMANDS
        assert command in LazyGroup(name="keepstream").list_commands(None)

    def test_the_worker_starts_after_kafka_is_healthy_and_the_topics_are_there(self):
        assert SERVICES["worker"]["depends_on"] == {
            "kafka": {"condition": "service_healthy"},
            "topics": {"condition": "service_completed_successfully"},
        }
        assert SERVICES["kafka"]["healthcheck"]["test"]

    def test_a_worker_has_time_to_commit_before_it_is_killed(self):
        grace = duration(SERVICES["worker"]["stop_grace_period"])
        assert grace >= load(environ={}).engine.stop_deadline + timedelta(seconds=5)

    def test_topics_are_created_by_us_with_one_copy(self):
        environment = SERVICES["kafka"]["environment"]
        assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
        assert environment["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == "1"
        assert load(environ={}).topics.replication_factor == 1

    @pytest.mark.parametrize("name", OURS)
    def test_nothing_runs_as_root_or_may_become_it(self, name):
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
        assert SERVICES[name]["read_only"] is True
        assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)

    def test_data_lies_on_volumes(self):
        assert SERVICES["kafka"]["volumes"] == ["kafka:/var/lib/kafka/data"]
        assert SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"
        assert SERVICES["worker"]["volumes"] == [
            f"worker:{SERVICES['worker']['environment']['KEEPSTREAM_DATA_DIR']}"
        ]
        assert set(COMPOSE["volumes"]) == {"kafka", "worker"}

    def test_no_image_floats(self):
        images = [service["image"] for service in SERVICES.values()] + re.findall(
            r"^FROM (\S+)", DOCKERFILE, re.MULTILINE
        )
        assert all(":" in image and not image.endswith(":latest") for image in images)


def test_the_image_has_what_the_build_copies():
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()[:-1]}
    assert {f"!{source}" for source in sources} <= set(ignored)
    assert all((ROOT / source).exists() for source in sources)
