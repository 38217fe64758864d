"""Names of workers on one host."""

import pytest

from streams.engine.instance import Instance
from streams.errors import EngineError


def test_two_workers_of_a_host_take_two_slots(tmp_path):
    first, second = Instance(tmp_path), Instance(tmp_path)
    assert first.name != second.name
    assert first.name.endswith("-0")
    assert second.name.endswith("-1")


def test_a_slot_is_free_again_once_its_holder_is_gone(tmp_path):
    first = Instance(tmp_path)
    name = first.name
    first.release()
    assert Instance(tmp_path).name == name


def test_a_fixed_name_in_use_is_refused_with_its_name(tmp_path):
    held = Instance(tmp_path, "shop-1")
    with pytest.raises(EngineError, match="'shop-1' is already running"):
        Instance(tmp_path, "shop-1")
    held.release()
    Instance(tmp_path, "shop-1")
