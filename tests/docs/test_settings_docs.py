"""docs/settings.md lists every setting as the code has it, the same on every machine."""

from pathlib import Path

from streams.settings import catalogue
from streams.settings.page import page

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()


def test_the_page_is_current():
    assert page() == PAGE, "run: python -m streams.settings > docs/settings.md"


def test_every_setting_stands_on_it_once():
    assert all(PAGE.count(f"| `{item.variable}` |") == 1 for item in catalogue())


def test_it_does_not_depend_on_who_wrote_it():
    assert str(Path.home()) not in PAGE
