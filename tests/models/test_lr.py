import numpy as np
from support import SPEC, random_batch, randomise

import models


def test_a_weight_for_every_id_and_number():
    model = models.build("lr", SPEC)
    randomise(model)
    inputs = {name: values.numpy() for name, values in random_batch(SPEC, 32)[0].items()}
    table, start = model.encoder.embedding.table.numpy()[:, 0], model.encoder.embedding._start
    logits = np.full(32, float(model.bias))
    for field in SPEC.fields:
        values = inputs[field.name]
        if field.kind == "dense":
            numbers = model.user_numbers if field.side == "user" else model.item_numbers
            logits += values * numbers.vectors.numpy()[0, 0]
        elif field.kind == "sparse":
            logits += table[start[field.vocabulary] + values]
        else:
            weights = [table[start[field.vocabulary] + row[row != 0]] for row in values]
            logits += [row.mean() if len(row) else 0 for row in weights]
    np.testing.assert_allclose(model(random_batch(SPEC, 32)[0]), logits, rtol=1e-4, atol=1e-5)


def test_one_number_a_side_and_parameters():
    model = models.build("lr", SPEC)
    inputs, _ = random_batch(SPEC, 3)
    assert model.user_tower(inputs)["user_logit"].shape == (3,)
    assert model.parameters() == sum(SPEC.tables.values()) + 2 + 1
