"""docs/models.md lists exactly the features there are, in their order."""

import re
from pathlib import Path

import pytest

from online_models.churn.features import FEATURE_NAMES
from online_models.items.features import RANK_FEATURES

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


@pytest.mark.parametrize(("part", "names"), [("churn", FEATURE_NAMES), ("ranking", RANK_FEATURES)])
def test_the_page_lists_every_feature_in_order(part, names):
    _, _, after = PAGE.read_text().partition(f"<!-- {part} features: begin -->")
    table, _, _ = after.partition(f"<!-- {part} features: end -->")
    assert re.findall(r"^\| `(\w+)` \| \S", table, flags=re.MULTILINE) == list(names)


def test_the_page_is_complete():
    assert "@@" not in PAGE.read_text()
