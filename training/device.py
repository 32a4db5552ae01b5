"""Where and in which precision to compute."""

import tensorflow as tf

from prerank.errors import InputError
from training.options import RunOptions


def configure(options: RunOptions) -> None:
    """Apply `--device` and `--mixed_precision` to this process, before anything is computed.

    Raises:
        InputError: a GPU was asked for and there is none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if options.device == "gpu" and not gpus:
        raise InputError("--device gpu: TensorFlow finds no GPU on this machine, use --device cpu or auto")
    if options.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
        gpus = []
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    half = "mixed_float16" if gpus else "mixed_bfloat16"
    tf.keras.mixed_precision.set_global_policy(half if options.mixed_precision else "float32")
