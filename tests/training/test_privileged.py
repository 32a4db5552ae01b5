"""What a model sees of a data set with privileged fields."""

import dataclasses

import pytest
from support import SPEC

from training.spec import seen, without


def names(spec):
    return [field.name for field in spec.fields]


def test_privileged_fields_and_their_roles_are_hidden():
    secret = ("age", "user_hist", "genres", "item_mean_rating")
    spec = dataclasses.replace(SPEC, privileged=secret, context=("age", "gender"), behaviours=("user_hist",))
    found = seen(spec, with_privileged=False)
    assert names(found) == ["user_id", "gender", "user_mean_rating", "movie_id"]
    assert (found.user_static, found.item_static) == (("gender",), ("movie_id",))
    assert (found.context, found.behaviours) == (("gender",), ())
    assert (found.history, found.category, found.user_mean, found.item_mean) == (None, None, "user_mean_rating", None)
    assert found.privileged == ()
    assert seen(spec, with_privileged=True) is spec


@pytest.mark.parametrize("with_privileged", [True, False])
def test_without_privileged_fields_all_is_seen(with_privileged):
    assert seen(SPEC, with_privileged) is SPEC
    assert without(SPEC, ("user_mean_rating",)).user_mean is None
    assert len(names(SPEC)) == len(names(without(SPEC, ("age",)))) + 1
