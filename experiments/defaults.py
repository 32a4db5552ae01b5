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
POOL = 1000
"""How many items the retrieval stage of a cascade passes on."""
QUOTAS = (500, 200, 100, 50)
"""How many of them a pre-ranker passes on."""
ENDS = ("random", "popularity", "recent_popularity", "floor", "retrieval", "ranker", "everything")
"""Pre-rankers that need no run of their own: chance, the items with the most training rows, the same in the last tenth
of the training time, logistic regression on the means (`target_means`), the order of retrieval, that of the ranker, and
the ranker on the whole catalogue without retrieval."""
