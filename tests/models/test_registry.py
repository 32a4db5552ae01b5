from typing import get_args

import pytest
from pydantic import ValidationError
from support import SPEC

import models
from layers import scaled_similarity
from models import ModelOptions, PreRankingModel, TwoTowerModel
from models.options import Similarity
from models.registry import FLAGS, register
from prerank.errors import InputError


def test_names_are_sorted_and_found_by_import():
    assert {"dssm", "hit", "target_means"} <= set(models.names())
    assert models.names() == sorted(models.names())


def test_an_entry_describes_its_model():
    for name in models.names():
        entry = models.get(name)
        assert entry.name == name
        assert entry.model.options_class is entry.options
        assert entry.kind
        assert entry.source
        assert entry.model.__doc__
        assert entry.model.__doc__ != PreRankingModel.__doc__


def test_a_flag_that_does_not_hold_has_its_reason():
    for name in models.names():
        entry = models.get(name)
        assert entry.decoupled == issubclass(entry.model, TwoTowerModel)
        for flag in FLAGS:
            assert getattr(entry, flag) == (flag not in entry.limits)
        assert all(reason and "\n" not in reason for reason in entry.limits.values())
    assert not models.get("dssm").limits


def test_an_unknown_flag():
    with pytest.raises(ValueError, match=r"Received: \['exported'\]"):
        register("new", options=ModelOptions, kind="none", source="none", limits={"exported": "no"})


def test_a_name_is_taken_once():
    enter = register("hit", options=ModelOptions, kind="none", source="none")
    with pytest.raises(ValueError, match="'hit' is registered twice, by .*HIT.* and .*Other"):
        enter(type("Other", (PreRankingModel,), {}))
    assert models.get("hit").model.__name__ == "HIT"


@pytest.mark.parametrize("call", [models.get, lambda name: models.build(name, SPEC)])
def test_an_unknown_name_lists_those_there_are(call):
    with pytest.raises(InputError) as error:
        call("nothing")
    assert "'nothing'" in str(error.value)
    assert ", ".join(models.names()) in str(error.value)
    assert "\n" not in str(error.value)


def test_options_are_checked():
    for options in ({"hidden_unit": (3,)}, {"hidden_units": (0,)}, {"hidden_units": ()}, {"dropout": 1.0}):
        with pytest.raises(ValidationError):
            models.build("dssm", SPEC, options)


def test_options_may_be_given_whole():
    options = models.get("dssm").options(hidden_units=(5,), embedding_dim=3)
    model = models.build("dssm", SPEC, options)
    assert model.options is options
    assert model.name == "dssm"


def test_the_published_models_are_within_reach():
    dssm = models.build("dssm", SPEC, {"hidden_units": (300, 300, 32), "similarity": "cosine"})
    assert [tower.get_config()["output_units"] for tower in (dssm.user_dnn, dssm.item_dnn)] == [32, 32]
    published = {"hidden_units": (300, 300, 32), "similarity": "dot", "generator_output_activation": "relu"}
    hit = models.build("hit", SPEC, {**published, "generation_loss": "reference_cosine"})
    assert [layer.units for layer in hit.user_dnn._dense] == [300, 300, 32]
    assert not hit.scorer.weights


def test_defaults():
    options = models.get("hit").options()
    assert options.embedding_dim == 32
    assert options.dropout == 0.3
    assert (options.user_heads, options.item_heads, options.head_dim) == (2, 2, 16)
    assert (options.generation_loss, options.generation_weight, options.generators) == ("cosine", 0.1, "both")
    assert options.generator_output_activation == "linear"
    assert models.get("dssm").options().similarity == "scaled_cosine"
    assert models.get("dssm").options().hidden_units == (300, 300, 32)


def test_classes_and_options_are_imported_from_the_model_s_package():
    from models.hit import HIT, HITOptions
    from models.lr import LogisticRegression

    assert HIT is models.get("hit").model
    assert HITOptions is models.get("hit").options
    assert LogisticRegression is models.get("lr").model
    with pytest.raises(ImportError, match="cannot import name 'HITS'"):
        from models.hit import HITS  # noqa: F401


def test_similarities_are_those_of_the_layer():
    assert get_args(Similarity) == get_args(scaled_similarity.Similarity)
