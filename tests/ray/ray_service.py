"""How a server that computes on Ray is started and looked at, from outside alone."""

import json
import os
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from houses import wait_until
from services import Service, children_of

# Ray starts in nine seconds of a quiet machine's time; this is for four times slower ones.
RAY_S: Final = 240.0


def readiness(server: Service) -> tuple[int, dict[str, str]]:
    """Return the status of /ready and what it tells."""
    try:
        with urllib.request.urlopen(f"{server.url}/ready", timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def wait_until_ready(server: Service) -> dict[str, str]:
    """Wait until pictures can come, and return what /ready tells then."""
    wait_until(lambda: readiness(server)[0] == 200, RAY_S)
    return readiness(server)[1]


def wait_until_away(server: Service) -> str:
    """Wait until no picture can come, and return why."""
    wait_until(lambda: readiness(server)[0] == 503, RAY_S)
    return readiness(server)[1]["reason"]


def metric(server: Service, name: str, **labels: str) -> float:
    """Return the sum of a metric's values that have these labels; 0 where there is none."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    found = (re.fullmatch(rf"{name}({{.*}})? (\S+)", line) for line in lines)
    return sum(
        float(match[2]) for match in found if match and all(w in (match[1] or "") for w in wanted)
    )


def retries(server: Service) -> float:
    """Return how many mattes were asked of a second replica."""
    return metric(server, "openrembg_remote_retries_total")


def replicas(server: Service) -> float:
    """Return how many replicas run, as the server knows it."""
    return metric(server, "openrembg_remote_replicas")


def bridge(server: Service) -> int:
    """Return the id of the process by which the server reaches Ray."""
    found = [pid for pid in children_of(server.process.pid) if "inference.bridge" in _command(pid)]
    assert len(found) == 1, f"{len(found)} bridges"
    return found[0]


def family(pid: int) -> set[int]:
    """Return a process and all that it and its children have started."""
    pids = [pid]
    for one in pids:
        pids += children_of(one)
    return set(pids)


def marked(mark: str) -> set[int]:
    """Return the processes that were started with a mark in their environment, by whomever."""
    return {
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if mark in _text(process / "environ")
    }


def alive(pids: set[int]) -> dict[int, str]:
    """Return those of the processes that have not ended, and their commands."""
    return {pid: _command(pid) for pid in pids if _command(pid)}


def born(pids: set[int]) -> set[tuple[int, str]]:
    """Return those that have not ended, with when they were born: numbers are used again."""
    since = {
        pid: _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split() for pid in alive(pids)
    }
    return {(pid, fields[19]) for pid, fields in since.items() if fields}


def wait_for_the_end_of(started: set[tuple[int, str]], mark: str) -> None:
    """Wait until none of some processes, and none with a mark, is left; fail naming those."""
    deadline = time.monotonic() + 90
    while left := born(marked(mark)) | (started & born({pid for pid, _ in started})):
        assert time.monotonic() < deadline, alive({pid for pid, _ in left})
        time.sleep(0.1)


def computed_s(pids: list[int]) -> float:
    """Return the processor time that processes have used, in seconds."""
    fields = [_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split() for pid in pids]
    return sum(int(own[11]) + int(own[12]) for own in fields) / os.sysconf("SC_CLK_TCK")


def _command(pid: int) -> str:
    # That of a process that has ended and was not waited for yet is empty.
    return _text(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:
        return ""
