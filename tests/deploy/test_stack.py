"""The compose file without containers: its commands, settings and files, on Kafka and a real Prometheus.

Only addresses, directories and the pace of the simulated shop differ from what compose would run.
"""

import json
import math
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest
import yaml
from confluent_kafka import Producer

from streams import topics
from streams.broker import HOST, free_port
from streams.guarded import GuardedProcess
from tests.deploy.test_grafana import PANELS, expressions
from tests.deploy.test_prometheus import ALERTS
from tests.deploy.tools import ROOT
from tests.integration.kafka import KafkaServer
from tests.integration.shop import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

DOTENV = {
    "KEEPSTREAM_EVENTS_PARTITIONS": "2",
    "KEEPSTREAM_HORIZON": "7d",
    "KEEPSTREAM_CLOCK": "event",
    "KEEPSTREAM_EXPERIMENTS": "spread/control/mmr:diversity=0.3",
}
"""What a user would write into .env to see labels within the days that the test has time for, and a trial."""

NOT_OURS = (
    "KAFKA_LISTENER",
    "KAFKA_ADVERTISED",
    "KAFKA_CONTROLLER",
    "KAFKA_INTER",
    "KAFKA_LOG_DIRS",
    "KAFKA_HEAP",
)


def ask(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def status(url):
    try:
        ask(url)
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError:
        return 0
    return 200


class Stack:
    """The processes of the compose file.

    Parameters
    ----------
    services
        As compose resolves them.
    directory
        In place of the volumes.
    prometheus_bin
        Where prometheus is.
    """

    def __init__(self, services, directory, prometheus_bin):
        self.services, self.directory, self.prometheus_bin = services, directory, prometheus_bin
        properties = {
            name.removeprefix("KAFKA_").lower().replace("_", "."): value
            for name, value in services["kafka"]["environment"].items()
            if name.startswith("KAFKA_") and not name.startswith(NOT_OURS)
        }
        self.kafka = KafkaServer(directory / "kafka", properties)
        self.ports = [free_port(), free_port()]
        self.prometheus_port = free_port()
        self.processes = {}

    def keepstream(self, service, name="", **environment):
        """Start the command of a service with its environment."""
        found = self.services[service]
        addresses = {
            "KEEPSTREAM_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KEEPSTREAM_DATA_DIR": str(self.directory / "data"),
            "KEEPSTREAM_HTTP_HOST": HOST,
        }
        known = DOTENV | found["environment"] | {"KEEPSTREAM_CLOCK": DOTENV["KEEPSTREAM_CLOCK"]}
        variables = [f"{key}={value}" for key, value in (known | addresses | environment).items()]
        command = [word if word != "8640" else "max" for word in found["command"]]
        command = [word if word != "365" else "50" for word in command]
        process = GuardedProcess(
            ["env", "-i", *variables, sys.executable, "-m", "streams.cli", *command],
            self.directory / f"{service}{name}.log",
        )
        self.processes[service + name] = process
        return process

    def start_workers(self):
        assert self.keepstream("topics").wait() == 0, self.processes["topics"].said()
        for number, port in enumerate(self.ports):
            self.keepstream("worker", f"-{number}", KEEPSTREAM_HTTP_PORT=str(port))

    def start_prometheus(self):
        shutil.copytree(ROOT / "deploy" / "prometheus", self.directory / "prometheus")
        (self.directory / "prometheus" / "targets").mkdir()
        targets = [{"targets": [f"{HOST}:{port}" for port in self.ports]}]
        (self.directory / "prometheus" / "targets" / "test.yml").write_text(yaml.safe_dump(targets))
        elsewhere = {
            "/etc/prometheus": str(self.directory / "prometheus"),
            "=/prometheus": f"={self.directory / 'tsdb'}",
        }
        command = self.services["prometheus"]["command"]
        for there, here in elsewhere.items():
            command = [word.replace(there, here) for word in command]
        listen = f"--web.listen-address={HOST}:{self.prometheus_port}"
        self.processes["prometheus"] = GuardedProcess(
            [self.prometheus_bin / "prometheus", *command, listen], self.directory / "prometheus.log"
        )

    def prometheus(self, path, **query):
        url = f"http://{HOST}:{self.prometheus_port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        answer = json.loads(ask(url))
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, expression):
        """Return the numbers that an expression has now."""
        found = self.prometheus("query", query=expression)["result"]
        return [value for series in found if not math.isnan(value := float(series["value"][1]))]

    def look_up(self):
        for port in self.ports:
            status(f"http://{HOST}:{port}/v1/users/user-000001")
            status(f"http://{HOST}:{port}/v1/items/p00001")
            status(f"http://{HOST}:{port}/v1/model")

    def close(self):
        for process in reversed(self.processes.values()):
            process.kill()
        self.kafka.kill()


@pytest.fixture(scope="module")
def stack(services, prometheus_bin, kafka_or_skip, tmp_path_factory):
    """Yield the running stack, fed with fifty days of the simulated shop."""
    made = Stack(services, tmp_path_factory.mktemp("stack"), prometheus_bin)
    try:
        made.kafka.start()
        made.start_workers()
        for port in made.ports:
            wait_until(lambda port=port: status(f"http://{HOST}:{port}/health/ready") == 200, "ready workers")
        made.start_prometheus()
        ready = f"http://{HOST}:{made.prometheus_port}/-/ready"
        wait_until(lambda: status(ready) == 200, "Prometheus ready")
        wait_until(lambda: made.values('sum(up{job="keepstream"})') == [2], "both workers scraped")
        assert made.keepstream("simulate").wait() == 0, made.processes["simulate"].said()
        yield made
    finally:
        made.close()


def test_every_panel_of_every_dashboard_shows_data(stack):
    missing = {
        (panel.values[0]["title"], expression): panel.id
        for panel in PANELS
        for expression in expressions(panel.values[0])
    }

    def shown():
        stack.look_up()
        for title, expression in list(missing):
            if stack.values(expression):
                del missing[title, expression]
        return not missing

    try:
        wait_until(shown, "data in every panel", 240)
    except AssertionError:
        pytest.fail(
            f"no data: {json.dumps([f'{place}: {key[1]}' for key, place in missing.items()], indent=1)}"
        )


def test_the_rules_are_evaluated_and_none_pages_while_all_is_well(stack):
    groups = stack.prometheus("rules", type="alert")["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert set(rules) == set(ALERTS)
    wait_until(
        lambda: all(
            rule["health"] == "ok"
            for group in stack.prometheus("rules", type="alert")["groups"]
            for rule in group["rules"]
        ),
        "every rule evaluated",
    )
    assert not stack.values('ALERTS{alertstate="firing", severity="page"}')
    broken = "sum by (reason) (keepstream_events_rejected_total) > 0"
    assert len(stack.values(broken)) > 1


def test_a_worker_that_is_killed_is_noticed_and_the_other_takes_its_partitions(stack):
    assert stack.values("count by (instance) (keepstream_partitions_open > 0)")
    stack.processes["worker-1"].kill()
    wait_until(
        lambda: len(stack.values('ALERTS{alertname="KeepstreamDown"}')) == 1,
        "the alarm pending",
    )
    wait_until(
        lambda: (
            stack.values('sum(keepstream_partitions_open{agent="users"} and on (instance) up == 1)') == [2]
        ),
        "the partitions at the other worker",
    )
    stack.keepstream("worker", "-1", KEEPSTREAM_HTTP_PORT=str(stack.ports[1]))
    wait_until(
        lambda: (
            not stack.values('ALERTS{alertname="KeepstreamDown"}')
            and stack.values('sum(up{job="keepstream"})') == [2]
        ),
        "the end of the alarm",
    )
    assert stack.values('changes(process_start_time_seconds{job="keepstream"}[5m]) > 0') == [1]


def test_without_kafka_workers_stay_alive_and_go_on_when_it_is_back(stack):
    workers = [stack.processes[f"worker-{number}"] for number in (0, 1)]
    stack.kafka.kill()
    wait_until(
        lambda: all("Unable connect to node" in "\n".join(worker.said()) for worker in workers),
        "the outage noticed",
    )
    for port in stack.ports:
        assert status(f"http://{HOST}:{port}/health/live") == 200
        assert b"keepstream_events_accepted_total" in ask(f"http://{HOST}:{port}/metrics")
    stack.kafka.start()
    # The simulated shop sends nothing that is nested so deeply: a backlog cannot be taken for it.
    judged = 'sum(keepstream_events_rejected_total{reason="too_deep"})'
    assert stack.values(judged) == [0]
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap_servers})
    producer.produce(topics.EVENTS.name, b'{"properties": ' + b"[" * 200 + b"]" * 200 + b"}", b"k")
    assert producer.flush(60) == 0
    wait_until(lambda: stack.values(judged) == [1], "the next event judged")
    assert all(worker.is_running() for worker in workers)
