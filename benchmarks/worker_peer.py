"""The peer's library in a process of its own, exactly as its README calls it."""

import os
import sys
from importlib.metadata import version
from typing import Any

import rembg

from benchmarks.child import answer


def main() -> None:
    """Load the model that the first argument names and answer jobs."""
    session = rembg.new_session("u2net_custom", model_path=sys.argv[1])

    def cut(photo: bytes, _job: dict[str, Any]) -> tuple[bytes, None]:
        return rembg.remove(photo, session=session), None

    facts = {
        "provider": ", ".join(session.inner_session.get_providers()),
        "versions": {name: version(name) for name in ("rembg", "onnxruntime", "pillow", "numpy")},
        "pid": os.getpid(),
    }
    answer(facts, cut)


if __name__ == "__main__":
    main()
