"""How much processor time a process and all that it started have used, as the kernel counts it.

Source: proc(5), utime, stime, cutime and cstime in /proc/PID/stat.
"""

import os
from typing import Final

from benchmarks.memory import PROC, family

TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
# Fields 14 to 17, counted from the one behind the name in brackets.
TIMES: Final = slice(11, 15)


def processor_s(pid: int) -> float:
    """Return the seconds that a process, its living descendants and those that ended have used."""
    return sum(_own_s(member) for member in family(pid))


def _own_s(pid: int) -> float:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[TIMES])) * TICK_S
