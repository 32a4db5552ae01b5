"""Measurements. Each prints what it measured; none is a test."""

import legacy_keras  # noqa: F401  (before anything can import TensorFlow)
