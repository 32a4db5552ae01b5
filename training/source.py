"""A data set as a training script offers it, and where its raw files are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preprocess.addresses import is_address
from preprocess.dataset import Adapter
from preprocess.options import DataOptions
from prerank.errors import InputError
from training.config import Config


@dataclass(frozen=True)
class DataSource:
    """A data set as a training script offers it.

    Attributes:
        adapter: reads its raw files; its options may choose another.
        origin: where to get them, for people.
        default_path: where they are looked for if the user names no place; None: the user has to.
        generate: makes sure that a small sample in their layout lies in a folder or below, and returns where.
        download: fetches them to a folder, and returns the folder that holds them.
        options: the data set's options.
        names: the data sets that the adapter may read, as runs name them; empty if the user names them. Generated
            ones, whose names follow from these, are left out.
        defaults: its own defaults for options of run and model.
    """

    adapter: Adapter
    origin: str
    default_path: Path | None = None
    generate: Callable[[Path, Any], Path] | None = None
    download: Callable[[Path, Any], Path] | None = None
    options: type[DataOptions] = DataOptions
    names: Sequence[str] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)


def locate(source: DataSource, config: Config) -> Path:
    """The raw data: what the user named, the default place, a download, or a generated sample.

    Raises:
        InputError: a download was asked for, and there is none; or there is nothing to run on.
    """
    named, default = config.data.data_path, source.default_path
    if config.run.download:
        target = named or default
        if source.download is None or target is None:
            raise InputError(f"--download: {source.adapter.name} cannot be downloaded. {source.origin}")
        if is_address(target):
            raise InputError("--download: --data_path has to be a folder of this machine", path=target)
        return source.download(target, config.data)
    if named is not None:
        return named
    if default is None or source.generate is None:
        raise InputError(f"--data_path is needed: {source.origin}")
    if default.exists():
        return default
    print(f"no data in {default}: {source.origin}")
    sample = source.generate(default.with_name(default.name + "-generated-sample"), config.data)
    print(f"running on a generated sample in the official layout, {sample}")
    return sample
