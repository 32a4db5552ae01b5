"""Score items for a user in Python, with the runtime only. Run `examples/own_data.py` first.

Where a model is served, `pip install ".[tensorflow]"` (or `".[onnx]"` for ONNX exports) is all that this script needs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # not needed where `prerank` is installed

from prerank import PreRanker  # noqa: E402
from prerank.errors import RequestError  # noqa: E402


def main() -> None:
    """Print the best items of a customer, the scores of some candidates, and what a wrong request gives."""
    ranker = PreRanker("out/shop")
    customer = {"customer": 42, "country": "de", "bought_before": ["p002", "p006"]}
    best = ranker.top(customer, 5, exclude=customer["bought_before"])
    for item, score in zip(best.ids, best.scores, strict=True):
        print(f"{item}\t{score:.3f}")
    found = ranker.score(customer, ["p010", "p011", "no such product"])
    print(f"unknown: {list(found.unknown)}")
    try:
        ranker.top({"customer": "forty-two"}, 5)
    except RequestError as error:
        print(f"refused: {error}")


if __name__ == "__main__":
    main()
