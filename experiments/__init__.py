"""What `benchmark.py` is made of: runs in series, their tuning, what is measured on them, and the report."""

import legacy_keras

legacy_keras.require()
