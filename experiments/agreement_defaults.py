"""How agreement with a ranking model is measured. Apart from what measures it, which needs TensorFlow."""

RANKER = "dcn_v2"
"""The ranking model."""
USERS = 500
"""How many users of the test part are asked."""
CUTOFFS = (10, 50, 100)
"""How many of a user's best items are compared."""
