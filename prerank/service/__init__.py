"""The command `prerank serve`: an HTTP service over :class:`prerank.PreRanker`."""
