"""Poly-Encoder: several views of a user, weighed by the item."""

from models.lazy import lazily
from models.poly_encoder.options import PolyEncoderOptions as PolyEncoderOptions

__getattr__ = lazily("models.poly_encoder.model", "PolyEncoder")
