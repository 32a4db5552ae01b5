"""What leaves the project: the exported model."""
