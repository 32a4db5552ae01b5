"""Measurements. Each prints what it measured; none is a test."""

import legacy_keras

legacy_keras.require()
