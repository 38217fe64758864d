"""Plots are images that a browser takes, with bars as long as their values."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks.plot import Bar, bars

SVG = "{http://www.w3.org/2000/svg}"


def parsed(image):
    return ET.fromstring(image)  # noqa: S314  # our own


def lengths(image, kind):
    return [float(one.get("width")) for one in parsed(image).iter(f"{SVG}rect") if one.get("class") == kind]


class TestBars:
    def test_bars_are_as_long_as_their_values_and_tell_own_from_other(self):
        image = bars("speed", [Bar("ours", 40.0), Bar("theirs", 20.0, own=False), Bar("none", 10.0)])
        ours = lengths(image, "own")
        assert ours[1] == pytest.approx(ours[0] / 4, abs=0.1)
        assert lengths(image, "other") == [pytest.approx(ours[0] / 2, abs=0.1)]

    def test_names_cannot_break_the_image(self):
        root = parsed(bars("a < b & c", [Bar('<"x">', 1.0)]))
        assert root.find(f"{SVG}title").text == "a < b & c"
        assert '<"x">' in [text.text for text in root.iter(f"{SVG}text")]

    def test_everything_lies_inside_the_image(self):
        root = parsed(bars("speed", [Bar(f"bar {n}", 10.0**n) for n in range(6)]))
        width, height = map(float, root.get("viewBox").split()[2:])
        for rect in root.iter(f"{SVG}rect"):
            assert float(rect.get("x") or 0) + float(rect.get("width")) <= width
            assert float(rect.get("y") or 0) + float(rect.get("height")) <= height

    def test_zeros_are_shown(self):
        assert len(lengths(bars("nothing happened", [Bar("a", 0.0), Bar("b", 0.0)]), "own")) == 2

    @pytest.mark.parametrize("rows", [[], [Bar("a", -1.0)]])
    def test_what_cannot_be_a_bar_is_refused_with_the_title(self, rows):
        with pytest.raises(ValueError, match="speed"):
            bars("speed", rows)
