import dataclasses
import json

import pytest
from support import SPEC

from features import MISSING, RESERVED, UNSEEN, FeatureSpec, Field


def test_reserved_rows():
    assert (MISSING, UNSEEN, RESERVED) == (0, 1, 2)


def test_sides_keep_the_order_of_the_fields():
    assert [field.name for field in SPEC.side("user")] == ["user_id", "gender", "age", "user_mean_rating", "user_hist"]
    assert [field.name for field in SPEC.side("item")] == ["movie_id", "genres", "item_mean_rating"]


def test_tables_are_listed_once():
    assert SPEC.tables == {"user_id": 30, "gender": 4, "age": 9, "movie_id": 40, "genres": 8}


def test_a_field_is_found_by_name():
    assert SPEC["age"].vocabulary_size == 9
    with pytest.raises(KeyError, match="zip"):
        SPEC["zip"]


def test_round_trip_through_json():
    assert FeatureSpec.from_dict(json.loads(json.dumps(SPEC.to_dict()))) == SPEC


def test_a_separator_is_kept_where_there_is_one():
    fields = tuple(dataclasses.replace(field, separator="|" * (field.name == "genres")) for field in SPEC.fields)
    described = dataclasses.replace(SPEC, fields=fields).to_dict()
    assert {field["name"]: field.get("separator") for field in described["fields"]} == {
        field.name: "|" if field.name == "genres" else None for field in fields
    }
    assert FeatureSpec.from_dict(json.loads(json.dumps(described))).fields == fields
    assert not any("separator" in field for field in SPEC.to_dict()["fields"])  # as it was before there were any


def test_two_fields_of_one_name_are_refused():
    with pytest.raises(ValueError, match="field names must differ"):
        dataclasses.replace(SPEC, fields=(*SPEC.fields, Field("age", "item", "dense", "float32")))


@pytest.mark.parametrize(
    "role", [{"user_id": "x"}, {"item_static": ("x",)}, {"history": "x"}, {"category": "x"}, {"item_mean": "x"}]
)
def test_a_role_that_names_no_field_is_refused(role):
    with pytest.raises(ValueError, match=r"roles name no (user|item) field: \['x'\]"):
        dataclasses.replace(SPEC, **role)


@pytest.mark.parametrize("role", [{"user_static": ("age", "movie_id")}, {"history": "genres"}, {"item_id": "user_id"}])
def test_a_role_that_names_a_field_of_the_other_side_is_refused(role):
    with pytest.raises(ValueError, match="roles name no (user|item) field"):
        dataclasses.replace(SPEC, **role)


def test_a_specification_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPEC.label = "other"
