"""Train a pre-ranking model on Taobao display ads: `python train_taobao_whole_models.py --model_name hit`."""

import sys
from pathlib import Path

from preprocess import taobao
from preprocess.options import DataOptions
from prerank.allocator import keep_freed_memory
from training.app import DataSource, main


def _sample(folder: Path, options: DataOptions) -> Path:
    from preprocess.generate import make_sample  # heavy, and only for a sample
    from preprocess.generate.taobao import SAMPLE_ROWS, ceiling_auc, generate

    make_sample(folder, lambda place: generate(place, rows=SAMPLE_ROWS, behaviours=2 * SAMPLE_ROWS))
    print(f"ceiling, the AUC of the sample's true probabilities over its impressions: {ceiling_auc(folder):.4f}")
    return folder


SOURCE = DataSource(
    adapter=taobao.ADAPTER,
    default_path=Path("data/taobao"),
    origin="get raw_sample, ad_feature, user_profile and behavior_log from "
    "https://tianchi.aliyun.com/dataset/56 (with an account)",
    generate=_sample,
    names=(taobao.ADAPTER.name,),
    defaults={"dropout": 0.2},
)

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main(SOURCE))
