"""Dashboards are well formed, use metrics that exist, and lie where the provisioning looks for them."""

import json
import re

import pytest
import yaml

from streams.metrics import TABLE
from tests.deploy.test_prometheus import metrics_of
from tests.deploy.tools import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARDS = {
    path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['title']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
]
PROCESS = {"process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}


def expressions(panel):
    """Return the queries of a panel as Prometheus gets them."""
    return [target["expr"].replace("$__rate_interval", "1m") for target in panel["targets"]]


def test_there_is_one_for_operations_and_one_for_the_models():
    assert {name: board["uid"] for name, board in DASHBOARDS.items()} == {
        "models": "keepstream-models",
        "operations": "keepstream-operations",
    }


@pytest.mark.parametrize("name", DASHBOARDS)
class TestDashboard:
    def test_panels_have_their_own_ids_and_do_not_overlap(self, name):
        panels = DASHBOARDS[name]["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells

    def test_links_lead_to_the_other(self, name):
        uids = {board["uid"] for board in DASHBOARDS.values()}
        for link in DASHBOARDS[name]["links"]:
            assert link["url"].removeprefix("/d/") in uids - {DASHBOARDS[name]["uid"]}


@pytest.mark.parametrize("panel", PANELS)
class TestPanel:
    def test_it_says_what_it_shows(self, panel):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]

    def test_it_uses_metrics_that_exist(self, panel):
        for expression in expressions(panel):
            assert metrics_of(expression) <= {metric.name for metric in TABLE} | PROCESS

    def test_it_asks_the_chosen_data_source(self, panel):
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_every_metric_of_the_table_is_on_a_dashboard():
    shown = {name for panel in PANELS for expr in expressions(panel.values[0]) for name in metrics_of(expr)}
    in_rules_only = {"keepstream_reject_alert"}
    assert {metric.name for metric in TABLE} - in_rules_only <= shown


class TestProvisioning:
    def test_dashboards_are_mounted_where_the_provider_and_the_home_page_look(self, services):
        provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/keepstream.yml").read_text())
        (found,) = provider["providers"]
        mounts = {mount["target"]: mount["source"] for mount in services["grafana"]["volumes"]}
        assert mounts[found["options"]["path"]].endswith("deploy/grafana/dashboards")
        assert mounts["/etc/grafana/provisioning"].endswith("deploy/grafana/provisioning")
        home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert home == f"{found['options']['path']}/operations.json"

    def test_the_data_source_is_the_prometheus_of_the_compose_file(self, services):
        file = (GRAFANA / "provisioning/datasources/prometheus.yml").read_text()
        (source,) = yaml.safe_load(file)["datasources"]
        (variable,) = re.findall(r"\$(\w+)", source["url"])
        assert services["grafana"]["environment"][variable] == "http://prometheus:9090"
        assert services["prometheus"]["ports"][0]["target"] == 9090
