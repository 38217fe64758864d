"""Catalogues in files, and the commands that check them."""

import gzip
import json

import pytest

from streams.cli import run
from streams.errors import SourceError
from streams.schemas import CatalogItem
from streams.sources.catalogue_file import BadItem, catalogue_items
from streams.sources.files import InputFile


def items_of(tmp_path, text, name="items"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    source = InputFile(path)
    try:
        return list(catalogue_items(source))
    finally:
        source.close()


FULL = CatalogItem("7", "Shoes", "Acme", 12.5, False, "Trail shoe", 1_700_000_000_000)

CELLS = '7;Shoes;Acme;12.50 EUR;false;"Trail shoe";2023-11-14T22:13:20Z'
LINES = (
    '{"item_id": "7", "category": "Shoes", "brand": "Acme", "price": 12.5, "available": false, '
    '"title": "Trail shoe", "since": 1700000000000, "else": [1]}\n'
)


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        "item_id,category,brand,price,available,title,since\n"
        + CELLS.replace(" EUR", "").replace(";", ",")
        + "\n",
        f"id;product_type;brand;price;availability;title;created_at\n{CELLS}\n",
        "ID\tProduct_Type\tBrand\tPrice\tAvailability\tTitle\tcreated_at\r\n"
        + CELLS.replace(";", "\t").replace("false", "out_of_stock")
        + "\r\n",
    ],
    ids=["lines", "commas", "product feed", "tabs"],
)
def test_every_layout_tells_the_same(tmp_path, text):
    assert items_of(tmp_path, text) == [FULL]
    assert items_of(tmp_path, gzip.compress(text.encode())) == [FULL]


def test_what_is_missing_or_empty_keeps_its_default(tmp_path):
    assert items_of(tmp_path, "id,price,brand\n7,,\n") == [CatalogItem("7")]
    assert items_of(tmp_path, '{"item_id": 7, "price": null}\n\n') == [CatalogItem("7")]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("id,price\n7,1\n8,cheap\n", 3, "price must be a number, not 'cheap'"),
        ("id,price\n7,1\n8,-1\n", 3, "price"),
        ("id,availability\n7,in stock\n8,perhaps\n", 3, "available must be true or false"),
        ("id,since\n7,2024-01-01\n8,soon\n", 3, "since must be a time"),
        ("id,price\n7,1\n8,1,2\n", 3, "as many cells"),
        ("id,price\n7,1\n8\n", 3, "as many cells"),
        ("id,brand\n7,a\n,b\n", 3, "item_id"),
        ('{"item_id": "7"}\n{"item_id": \n', 2, "truncated"),
        ('{"item_id": "7"}\n[]\n', 2, "object"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_the_others_are_read(tmp_path, text, line, reason):
    good, bad = items_of(tmp_path, text)
    assert good.item_id == "7"
    assert isinstance(bad, BadItem)
    assert (bad.line, reason in bad.reason) == (line, True), bad


def test_a_table_without_ids_is_no_catalogue(tmp_path):
    with pytest.raises(SourceError, match="no column is named item_id, id"):
        items_of(tmp_path, "name,price\na,1\n")


def test_validate_tells_good_from_bad_and_ends_with_1_for_bad_ones(tmp_path, capsys):
    path = tmp_path / "items.csv"
    path.write_text("id,availability\n7,in stock\n8,out of stock\n8,in stock\n9,perhaps\n")
    assert run(["catalog", "validate", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["items"], told["available"]) == (2, 2)
    assert [one["line"] for one in told["bad"]] == [5]
    path.write_text("id\n7\n")
    assert run(["catalog", "validate", str(path)]) == 0
    assert capsys.readouterr().out == "1 items, 0 out of stock, 0 bad rows\n"


def test_a_simulated_shop_writes_a_catalogue_that_can_be_loaded(tmp_path, capsys):
    events, catalogue = tmp_path / "events.jsonl", tmp_path / "items.jsonl"
    options = ["--users", "30", "--items", "160", "--days", "40", "--catalog", str(catalogue)]
    assert run(["simulate", "--out", str(events), *options]) == 0
    assert run(["catalog", "validate", str(catalogue)]) == 0
    items = [json.loads(line) for line in catalogue.read_text().splitlines()]
    assert len({item["item_id"] for item in items}) == len(items) > 100
    touched = {item["item_id"] for line in events.open() for item in json.loads(line).get("items", ())}
    assert touched <= {item["item_id"] for item in items}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "pin", "--item", "a"], "pins an item_id to a position"),
        (["x", "pin", "--item", "a", "--position", "300"], "position"),
        (["x", "boost", "--brand", "a"], "needs a factor"),
        (["x", "block"], "got 0"),
        (["x", "block", "--item", "a", "--until", "soon"], "--until must be a time"),
        (
            ["x", "block", "--item", "a", "--from", "2026-01-02", "--until", "2026-01-01"],
            "not after its begin",
        ),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_before_any_broker_is_asked(arguments, message, capsys):
    assert run(["rules", "add", *arguments]) == 1
    assert message in capsys.readouterr().err
