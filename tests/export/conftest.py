from sample import prepared, sample_folder  # noqa: F401
