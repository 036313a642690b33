"""Processor time of one picture: the matte, which replicas of Ray compute, and the rest, apart.

Run as `python -m benchmarks.sizing_pictures JOB`, the job in JSON; prints one answer in JSON.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.models import SHIPPED, measured_weights
from openrembg.matting.decode import Source
from openrembg.matting.matter import Matte, Matter
from openrembg.matting.options import Format, Options
from openrembg.matting.pipeline import cut_out
from openrembg.matting.runtime import load_matter
from openrembg.matting.tuning import tune_process

FORMATS: Final[tuple[Format, ...]] = ("webp", "png", "jpeg")


@dataclass(frozen=True, slots=True)
class Given:
    """A Matter that has its matte already, as a web process has once a replica answered."""

    answer: Matte
    model: str = SHIPPED
    provider: str = "given"

    def matte(self, source: Source) -> Matte:  # noqa: ARG002 (the protocol has it)
        """Return it."""
        return self.answer


def main() -> None:
    """Measure each photo that the job names."""
    job = json.loads(sys.argv[1])
    tune_process()
    matter = load_matter(measured_weights(SHIPPED), threads=1)
    found = [
        _measured(matter, Path(photo), name, job["repeats"])
        for photo, name in itertools.product(job["photos"], FORMATS)
    ]
    json.dump(found, sys.stdout)


def _measured(matter: Matter, photo: Path, name: Format, repeats: int) -> dict[str, Any]:
    data, options = photo.read_bytes(), Options(format=name)
    given = Given(matter.matte(Source(data)))
    return {
        "photo": str(photo),
        "format": name,
        "matte_s": _cost(lambda: matter.matte(Source(data)), repeats),
        "rest_s": _cost(lambda: cut_out(Source(data), options, given), repeats),
        "bytes_in": len(data),
        "bytes_out": len(cut_out(Source(data), options, given).data),
    }


def _cost(work: Callable[[], object], repeats: int) -> float:
    work()
    return median(_costs(work, repeats))


def _costs(work: Callable[[], object], repeats: int) -> Iterator[float]:
    for _ in range(repeats):
        start = time.process_time()
        work()
        yield time.process_time() - start


if __name__ == "__main__":
    main()
