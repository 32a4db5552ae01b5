from servers import artefact, reference  # noqa: F401
