import numpy as np
import tensorflow as tf
from support import SPEC, random_batch, randomise

import models


def test_logit_from_the_intermediate_outputs():
    model = models.build("cold", SPEC, {"hidden_units": (7,), "embedding_dim": 4})
    randomise(model)
    inputs, _ = random_batch(SPEC, 16)
    sides = [("user", model.user_numbers), ("item", model.item_numbers)]
    fields = np.concatenate([model.encoder(inputs, side).stack(numbers) for side, numbers in sides], axis=1)
    assert fields.shape == (16, len(SPEC.fields), 4)
    kernel, bias = model.excite.kernel.numpy(), model.excite.bias.numpy()
    gated = fields / (1 + np.exp(-(fields.reshape(16, -1) @ kernel + bias)))[..., None]
    hidden = model.dnn(tf.constant(gated.reshape(16, -1))).numpy()
    expected = hidden @ model.output_layer.kernel.numpy()[:, 0] + float(model.bias)
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4, atol=1e-5)


def test_it_offers_no_towers():
    entry = models.get("cold")
    assert not entry.decoupled
    assert not hasattr(models.build("cold", SPEC, {"hidden_units": (4,)}), "user_tower")
