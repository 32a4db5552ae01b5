"""What commands of the benchmark show in their help. Apart from what they do, some of which needs TensorFlow."""

from pathlib import Path

PUBLISHED = Path("docs/results")
"""The committed evidence: the small files of runs, and what the report makes of them."""
RANKER = "dcn_v2"
"""The ranking model whose best items others are compared with."""
USERS = 500
"""How many users of the test part are asked for it."""
CUTOFFS = (10, 50, 100)
"""How many of a user's best items are compared."""
