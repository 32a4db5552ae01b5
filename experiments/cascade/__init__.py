"""The judge of pre-ranking models: what they do for the final list of a cascade (docs/cascade.md)."""
