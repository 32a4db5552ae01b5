"""The current snapshot of an index that is replaced now and then."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from prerank import index
from prerank.errors import ArtefactError
from prerank.forks import PerProcess
from prerank.kernels import ArrayLayout
from prerank.snapshot import Snapshot

_log = logging.getLogger(__name__)
_LONGEST_WAIT = 60.0
_SILENCE = 60.0


class WatchedIndex:
    """Gives each request the snapshot to use. Threads may share it.

    A replacement that cannot be read is tried again at the next request, then after 1 s, and after twice as long each
    time, up to a minute. What is wrong is logged once a minute.

    Args:
        folder: the index.
        fingerprint: of the model that will score.
        layout: the arrays that the model reads; not checked if None.
        watch: look for a replacement at each request.
        clock: seconds, never less than before.

    Raises:
        ArtefactError: the index is missing, damaged, or another model's.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        layout: ArrayLayout | None = None,
        *,
        watch: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._folder, self._fingerprint, self._layout = folder, fingerprint, layout
        self._watch, self._clock = watch, clock
        self._loading, self._saying = PerProcess(threading.Lock), PerProcess(threading.Lock)
        self._refused: tuple[int, int] | None = None
        self._wait, self._next = 0.0, 0.0
        self._said: dict[str, float] = {}
        self.snapshot = Snapshot.open(folder, fingerprint, layout)

    def reload(self) -> Snapshot:
        """Read the index again.

        Raises:
            ArtefactError: the index is missing, damaged, or another model's; the present snapshot stays.
        """
        with self._loading.get():
            return self._load()

    def current(self) -> Snapshot:
        """The snapshot for one request; if it watches, a new one if the index was replaced."""
        return self.refresh() if self._watch else self.snapshot

    def refresh(self) -> Snapshot:
        """The snapshot, a new one if the index was replaced by one that can be used; see the class."""
        try:
            stamp = index.stamp(self._folder)
        except ArtefactError as error:
            self._complain(error)
            return self.snapshot
        if stamp != self.snapshot.stamp and self._is_due(stamp):
            lock = self._loading.get()
            # one thread loads, the others go on with what there is
            if lock.acquire(blocking=False):
                try:
                    self._try(stamp)
                finally:
                    lock.release()
        return self.snapshot

    def _load(self) -> Snapshot:
        self.snapshot = Snapshot.open(self._folder, self._fingerprint, self._layout)
        self._refused, self._said = None, {}
        return self.snapshot

    def _try(self, stamp: tuple[int, int]) -> None:
        if stamp == self.snapshot.stamp or not self._is_due(stamp):
            return  # another thread was faster
        if stamp != self._refused:
            self._wait = 0.0
        try:
            self._load()
        except (ArtefactError, MemoryError) as error:
            self._refused, self._next = stamp, self._clock() + self._wait
            self._wait = min(max(1.0, 2 * self._wait), _LONGEST_WAIT)
            self._complain(error)

    def _is_due(self, stamp: tuple[int, int]) -> bool:
        return stamp != self._refused or self._clock() >= self._next

    def _complain(self, error: Exception) -> None:
        message, now = str(error) or type(error).__name__, self._clock()
        with self._saying.get():
            if now - self._said.get(message, now - _SILENCE) < _SILENCE:
                return
            self._said = {text: when for text, when in self._said.items() if now - when < _SILENCE} | {message: now}
        _log.error("the item index stays at %s: %s", self.snapshot.version, message)
