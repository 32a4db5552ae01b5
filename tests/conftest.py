"""Imports the legacy-Keras module before anything else can import TensorFlow."""

import legacy_keras  # noqa: F401
