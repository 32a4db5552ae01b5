"""Writes the artefacts of a trained model."""
