"""Old name of `prerank.threads`, for one release."""

from prerank.threads import cores, limit_threads

__all__ = ["cores", "limit_threads"]
