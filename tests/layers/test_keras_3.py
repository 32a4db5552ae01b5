import os
import subprocess
import sys
from pathlib import Path

import pytest

import legacy_keras

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not legacy_keras.is_legacy(), reason="this is the run on Keras 3")
def test_all_tests_of_layers_pass_on_keras_3():
    """Every test of this folder, its NumPy computations and gradients included, in a process with Keras 3."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(Path(__file__).parent)]
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "0"}
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stdout[-5000:]
    assert "1 skipped" in process.stdout, "the process did not run on Keras 3"
