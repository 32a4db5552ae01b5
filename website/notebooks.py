"""Executes the notebooks in examples/ and keeps their outputs: `python -m website.notebooks`.

Each runs in a new folder, so its outputs name no folder of the machine. What libraries write to standard error is left
out, as are the times at which cells ran.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
_SECONDS = 300


def executed(path: Path) -> Any:
    """A notebook with the outputs of a new kernel.

    Args:
        path: the file. It stays as it is.

    Returns:
        A `nbformat.NotebookNode`.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.clear()
    with tempfile.TemporaryDirectory() as folder, _environment({"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}):
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=_SECONDS, resources=place, record_timing=False).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(one for one in cell.outputs if one.get("name") != "stderr")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _joined(outputs: Iterable[Any]) -> list[Any]:
    """Outputs with what was printed one after another as one; the kernel cuts it by the time that passes."""
    found: list[Any] = []
    for one in outputs:
        if found and one.output_type == found[-1].output_type == "stream":
            found[-1].text += one.text
        else:
            found.append(one)
    return found


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables of the processes that the block starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def main() -> None:
    """Execute all notebooks, or those named."""
    import nbformat

    for path in map(Path, sys.argv[1:]) if len(sys.argv) > 1 else sorted(EXAMPLES.glob("*.ipynb")):
        print(f"executing {path.name}")
        nbformat.write(executed(path), path)


if __name__ == "__main__":
    main()
