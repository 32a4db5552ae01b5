"""What leaves the project: the exported model."""

import legacy_keras

legacy_keras.require()
