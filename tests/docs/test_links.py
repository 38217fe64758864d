"""Relative links of the pages lead to files that exist, and to headings in them."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, name

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page):
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page):
    for link in _LINK.findall(page.read_text()):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_leads_to_every_page():
    text = (ROOT / "README.md").read_text()
    pages = [name(page) for page in PAGES if page.name != "README.md"]
    assert [page for page in pages if f"]({page})" not in text] == []
