"""Every struct of the wire round-trips, and states its meaning and its limits."""

import inspect

import msgspec
import pytest

from streams import schemas
from streams.schemas.documents import SAMPLES

STRUCTS = [getattr(schemas, name) for name in schemas.__all__]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_struct_and_every_field_says_what_it_means(struct):
    assert struct.__doc__
    fields = msgspec.json.schema(struct)["$defs"][struct.__name__].get("properties", {})
    for name, field in fields.items():
        described = "description" in field or any("description" in part for part in field.get("anyOf", []))
        named = set(field) & {"$ref", "allOf", "anyOf"} or name in {"category", "price", "source", "reasons"}
        assert described or named or name.endswith("_id") or name == "model_version", name


@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_sample_of_every_document_survives_json(name):
    sample = SAMPLES[name]
    assert msgspec.json.decode(msgspec.json.encode(sample), type=type(sample)) == sample


def test_every_public_document_has_a_sample():
    parts = {
        "RetentionCohort",
        "InterventionOutcome",
        "Item",
        "Origin",
        "Partner",
        "Partnership",
        "RecommendedItem",
    }
    parts |= {"UserAlert", "UserRisk", "UserSession"}
    # These are described by OpenAPI alone: only a worker's own server writes them.
    parts |= {"Alive", "Index", "ModelCard", "Readiness", "Refusal", "WorkerStatus"}
    parts |= {"ExperimentMeasure", "ExperimentResult", "ExperimentResults", "ExperimentVariant"}
    parts |= {"ActionWorth", "Counters", "LiveSample", "ModelPoint", "PartitionStatus"}
    assert {type(sample).__name__ for sample in SAMPLES.values()} == set(schemas.__all__) - parts


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_structs_are_frozen(struct):
    assert inspect.isclass(struct)
    assert struct.__struct_config__.frozen
