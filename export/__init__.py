"""Writes the artefacts of a trained model."""

import legacy_keras

legacy_keras.require()
