"""Compiled operations for training, built where there is a compiler."""

import legacy_keras

SWITCH = "PRERANK_NATIVE"
"""The environment variable: `off` builds and loads nothing; `on`, as if it were not set."""

legacy_keras.require()
