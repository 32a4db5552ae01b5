import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from support import SPEC, random_batch, randomise

import models

SMALL = {"hidden_units": (7, 5), "embedding_dim": 4, "compressor_heads": 2, "local_width": 3}


@pytest.mark.parametrize("channels", [1, 2])
def test_logit_from_the_intermediate_outputs(channels):
    model = models.build("mlcc", SPEC, {**SMALL, "channels": channels})
    randomise(model)
    inputs, _ = random_batch(SPEC, 16)
    sides = [("user", model.user_numbers), ("item", model.item_numbers)]
    fields = np.concatenate([model.encoder(inputs, side).stack(numbers) for side, numbers in sides], axis=1)
    assert fields.shape == (16, len(SPEC.fields), 4)
    network = model.network
    compressed = network.compressor(tf.constant(fields)).numpy()
    assert compressed.shape == (16, len(SPEC.fields), 4 + channels * 2 * (2 + 1))
    local = np.einsum("bfc,fce->bfe", compressed, network.local.kernels.numpy()) + network.local.biases.numpy()
    gated = network.excite(tf.constant(local)).numpy()
    expected = network.dnn(tf.constant(gated.reshape(16, -1))).numpy()[:, 0] + float(model.bias)
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4, atol=1e-5)
    assert np.std(expected) > 1e-3


def test_channels_have_to_divide_the_embeddings():
    with pytest.raises(ValidationError, match="--channels must divide --embedding_dim. Received: 3 and 32"):
        models.get("mlcc").options(channels=3)
    assert models.get("mlcc").options(channels=4).channels == 4
