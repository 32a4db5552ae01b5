"""A small generated data set, prepared once a session, for the tests of everything above the data."""

import pytest


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory):
    """Generated raw files in the official layout."""
    from preprocess.generate.movielens import generate

    folder = tmp_path_factory.mktemp("sample") / "ml"
    generate(folder, rows=12_000, seed=1)
    return folder


@pytest.fixture(scope="session")
def prepared(sample_folder, tmp_path_factory):
    """The sample prepared under the strict protocol."""
    from preprocess.movielens import ADAPTER
    from preprocess.options import DataOptions
    from preprocess.prepare import prepare

    options = DataOptions(data_path=sample_folder, prepared_dir=tmp_path_factory.mktemp("prepared"))
    return prepare(ADAPTER, options, lambda _: None)
