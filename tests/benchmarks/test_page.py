"""docs/performance.md shows the figures that lie beside it, and says what is missing or was missed."""

from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.targets import targets
from tests.benchmarks.figures import ours, parts

ROOT = Path(__file__).parents[2]
CURRENT = page.files(ROOT)


@pytest.mark.parametrize("path", list(CURRENT), ids=lambda path: path.name)
def test_a_generated_file_is_current(path):
    assert path.read_text() == CURRENT[path], "run: python -m benchmarks.page"


def test_every_plot_is_shown():
    text = (ROOT / "docs" / "performance.md").read_text()
    images = {path.name for path in CURRENT if path.suffix == ".svg"}
    assert {path.name for path in (ROOT / "docs" / "images").glob("performance-*.svg")} == images
    assert [name for name in images if f"](images/{name})" not in text] == []


class TestSections:
    def test_a_part_that_was_not_run_is_named_with_its_command(self):
        (line,) = page.section("latency", {})
        assert 'make bench ARGS="latency"' in line

    def test_rendering_replaces_what_was_generated_and_nothing_else(self):
        text = "before\n<!-- generated: latency -->\nold\n<!-- end -->\nafter\n"
        found = page.render(text, parts())
        assert found.startswith("before\n<!-- generated: latency -->\n| load |")
        assert found.endswith("<!-- end -->\nafter\n")
        assert "old" not in found
        assert page.render(found, parts()) == found

    def test_an_unknown_section_is_an_error(self):
        with pytest.raises(KeyError, match="speed"):
            page.render("<!-- generated: speed -->\n<!-- end -->", parts())

    def test_the_time_of_a_system_that_counts_otherwise_is_not_shown(self):
        (line,) = (one for one in page.section("throughput", parts()) if one.startswith("| Faust"))
        assert "differ from the log in 3 places" in line
        assert "50" not in line

    def test_systems_are_marked_for_what_sets_them_apart(self):
        lines = page.section("throughput", parts())
        assert any(one.startswith("| decode only, our transport¹ |") for one in lines)
        assert any(one.startswith("| Quix Streams²³ |") for one in lines)
        assert any(one.startswith("| Bytewax | 833 | 1,200 | 12.00 times |") for one in lines)

    def test_every_section_of_the_page_is_filled_without_any_figures(self):
        text = (ROOT / "docs" / "performance.md").read_text()
        assert page.render(text, {}).count("Not measured yet") >= 8


class TestTargets:
    def found(self, figures):
        return {one.asked: (one.measured, one.met) for one in targets(figures)}

    def test_met_and_missed_are_told_apart(self):
        assert self.found(parts()) == {
            "10 times the throughput of Quix Streams": ("5.00 times", False),
            "10 times the throughput of Bytewax": ("12.00 times", True),
            "half of what the transport delivers": ("40 %", False),
            "p99 under 250 ms at 50 % load": ("240 ms", True),
            "1,000,000 users and 200,000 items in under 2 GiB": ("1.49 GiB", True),
            "80 % of the throughput with 10 times the users and items": ("77 %", False),
        }

    def test_a_slower_keepstream_misses_more(self):
        slow = parts()
        slow["throughput"]["Keepstream"] = ours(200.0)
        assert self.found(slow)["10 times the throughput of Bytewax"] == ("6.00 times", False)

    def test_nothing_is_claimed_of_what_was_not_measured(self):
        assert self.found({}) == {}
