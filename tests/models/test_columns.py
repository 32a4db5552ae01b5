from support import SPEC

from models.columns import columns
from models.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat, networks


def test_columns_of_deepctr():
    user, item = columns(SPEC, "user", 8), columns(SPEC, "item", 8)
    assert [column.name for column in user + item] == [field.name for field in SPEC.fields]
    assert isinstance(user[0], SparseFeat)
    assert (user[0].vocabulary_size, user[0].embedding_dim) == (30, 8)
    assert isinstance(user[3], DenseFeat)
    assert user[3].dimension == 1
    assert isinstance(user[4], VarLenSparseFeat)
    assert (user[4].maxlen, user[4].combiner) == (6, "mean")
    # the history shares the item's table
    assert user[4].embedding_name == item[0].embedding_name == "movie_id"
    assert item[1].embedding_name == "genres"


def test_deepctr_builds_a_model_from_the_columns():
    both = columns(SPEC, "user", 4) + columns(SPEC, "item", 4)
    model = networks.DeepFM(both, both, dnn_hidden_units=(4,))
    tables = [layer for layer in model.layers if getattr(layer, "input_dim", 0) == 40 and layer.output_dim == 4]
    assert len(tables) == 1
