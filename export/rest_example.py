"""One request to TensorFlow Serving's REST API and its answer, by the exported model's own signature.

    python -m export.rest_example --model out/hit/1

Rows are those of `examples.parquet`. No server runs: the SavedModel answers as it does within TensorFlow Serving.
"""

import json
import sys
from pathlib import Path
from typing import Any

from prerank.artefact import Artefact
from prerank.errors import InputError
from prerank.items import columns, read_table
from prerank.layout import EXAMPLES
from prerank.terminal import Parser, positive, run, write

_SIGNATURE = "serving_default"
_DIGITS = 6


def rest_example(model: Artefact, rows: Path, count: int = 2) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request body for `:predict`, and the answer's body.

    Args:
        model: an exported model.
        rows: Parquet with every feature, in raw spelling.
        count: how many rows to ask for.

    Raises:
        InputError: `rows` cannot be read, lacks a feature, or has fewer rows.
    """
    model.check_beside(rows)
    fields = model.inputs()
    given = read_table(rows)
    if len(given) < count:
        raise InputError(f"--rows {count}: the file has only {len(given)} rows", path=rows)
    values = columns(given.head(count), fields, rows)
    names = [field["name"] for field in fields]
    arguments = [field.get("argument", field["name"]) for field in fields]
    instances = [dict(zip(arguments, (value[row].tolist() for value in values), strict=True)) for row in range(count)]
    found = model.signature(_SIGNATURE, names)(values)
    predictions = [
        {name: round(float(value[row]), _DIGITS) for name, value in found.items()} for row in range(len(instances))
    ]
    return {"signature_name": _SIGNATURE, "instances": instances}, {"predictions": predictions}


def _main() -> None:
    parser = Parser(prog="python -m export.rest_example", description="A REST request to TensorFlow Serving.")
    parser.add_argument("--model", type=Path, required=True, help="exported model")
    parser.add_argument("--rows", type=positive, default=2, help="how many rows to ask for")
    flags = parser.parse_args()
    model = Artefact(flags.model)
    for body in rest_example(model, flags.model / EXAMPLES, flags.rows):
        write(json.dumps(body))


if __name__ == "__main__":
    sys.exit(run(_main))
