"""Raw files to leak-free features on disk. One data set a file; the protocol is shared."""
