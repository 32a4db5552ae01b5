"""Run configuration, trainer, optimizer, metrics and results."""

import legacy_keras

legacy_keras.require()
