"""Our library in a process of its own, called as an application would call it."""

import contextlib
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.child import answer
from benchmarks.models import measured_weights
from openrembg.matting.options import Options
from openrembg.matting.pipeline import remove_background
from openrembg.matting.runtime import load_matter

PACKAGES = ("openrembg", "openvino", "onnxruntime", "pillow", "numpy", "opencv-python-headless")


def main() -> None:
    """Load the model that the first argument names and answer jobs.

    A job has a `format` and `estimate_foreground`.
    """
    matter = load_matter(measured_weights(sys.argv[1]))

    def cut(photo: bytes, job: dict[str, Any]) -> tuple[bytes, dict[str, float]]:
        cutout = remove_background(
            photo,
            Options(format=job["format"]),
            matter=matter,
            estimate_foreground=job["estimate_foreground"],
        )
        timings = cutout.timings
        return cutout.data, {
            "decode": timings.decode_s,
            "matte": timings.matte_s,
            "compose": timings.compose_s,
            "encode": timings.encode_s,
        }

    facts = {"provider": matter.provider, "versions": _versions(), "pid": os.getpid()}
    answer(facts, cut)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


if __name__ == "__main__":
    main()
