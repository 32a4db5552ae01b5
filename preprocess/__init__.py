"""Raw files to leak-free features on disk. One data set a file; the protocol is shared."""

import legacy_keras  # noqa: F401  (before anything can import TensorFlow)
