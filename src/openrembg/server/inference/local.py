"""A model in this process: loaded once, in the background, never twice."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from openrembg.matting.errors import InferenceFailed, MattingError
from openrembg.matting.matter import Matter
from openrembg.server.errors import NotReady
from openrembg.server.inference.state import State

# How long a picture waits for a model that is being loaded: a restart behind a proxy loses none.
PATIENCE_S: Final = 10.0
DOES_NOT_RUN: Final = "The model does not run; the server's log says why."

logger = logging.getLogger("openrembg.inference")


class LocalBackend:
    """Loads a Matter in a thread of its own and hands it out once it is warm."""

    def __init__(self, load: Callable[[], Matter], *, patience_s: float = PATIENCE_S) -> None:
        self._load = load
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._matter: Matter | None = None
        self._state = State("loading")

    def start(self) -> None:
        """Begin to load, unless that has begun already."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="load-model", daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float | None = None) -> State:
        """Return the state when loading has ended one way or the other, or time is up."""
        self.start()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._state

    def state(self) -> State:
        """Return how loading stands."""
        return self._state

    def matter(self, before_waiting: Callable[[], None] | None = None) -> Matter:
        """Return the Matter, if need be when it is loaded. Raises NotReady when it did not load.

        before_waiting: what to do first if it is still being loaded.
        """
        self.start()
        if self._state.status == "loading":
            if before_waiting is not None:
                before_waiting()
            self.wait(self._patience_s)
        if self._matter is None:
            raise NotReady(self._state.reason or self._state.status)
        return self._matter

    def stop(self) -> None:
        """Do nothing: the model ends with the process."""

    def _run(self) -> None:
        try:
            matter = self._load()
        except InferenceFailed as error:
            self._fail(DOES_NOT_RUN, detail=" ".join(str(error).split()))
        except MattingError as error:
            self._fail(str(error))
        except Exception:
            logger.exception("The model did not load")
            self._fail("The model did not load; the server's log says why.")
        else:
            self._matter = matter
            # A provider's last word is its precision: `OpenVINO CPU bf16`.
            precision = matter.provider.rpartition(" ")[2]
            self._state = State("ready", matter.model, matter.provider, precision)
            fields = {"model": matter.model, "provider": matter.provider}
            logger.info("The model is loaded and warm", extra={"fields": fields})

    def _fail(self, reason: str, detail: str = "") -> None:
        self._state = State("failed", reason=reason)
        fields = {"reason": reason} | ({"detail": detail} if detail else {})
        logger.error("The server has no model", extra={"fields": fields})
