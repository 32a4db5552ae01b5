"""The candidate generation network of YouTube, a retrieval model."""

from models.lazy import lazily

__getattr__ = lazily("models.youtube_dnn.model", "YoutubeDNN")
