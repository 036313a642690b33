"""The one model that this server answers with: loaded once, in the background, never twice."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from openrembg.matting.errors import InferenceFailed, MattingError
from openrembg.matting.matter import Matter
from openrembg.matting.runtime import load_matter
from openrembg.matting.weights import find_weights
from openrembg.server.errors import NotReady
from openrembg.server.inference.state import State
from openrembg.server.settings import Settings

DOES_NOT_RUN: Final = "The model does not run; the server's log says why."

logger = logging.getLogger("openrembg.inference")


class Backend:
    """Loads a Matter in a thread of its own and hands it out once it is warm."""

    def __init__(self, load: Callable[[], Matter]) -> None:
        self._load = load
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

    def matter(self) -> Matter:
        """Return the loaded Matter. Raises NotReady while there is none."""
        self.start()
        if self._matter is None:
            raise NotReady(self._state.reason or self._state.status)
        return self._matter

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


def backend_for(settings: Settings) -> Backend:
    """Return the backend that the settings ask for, not started yet."""

    def load() -> Matter:
        weights = find_weights(settings.model, settings.models_folder)
        return load_matter(
            weights,
            provider=settings.provider,
            precision=settings.precision,
            threads=settings.threads,
        )

    return Backend(load)
