"""UniMatch, which ranks items for a user, and users for an item."""

from models.lazy import lazily
from models.uni_match.options import UniMatchOptions as UniMatchOptions

__getattr__ = lazily("models.uni_match.model", "UniMatch")
