"""What the numbers were taken on."""

import os
import platform
from pathlib import Path
from typing import Final

from benchmarks.memory import total_bytes

# What decides whether bf16 is fast: AMX multiplies it in tiles, AVX-512 BF16 in vectors.
FLAGS: Final = ("amx_bf16", "amx_int8", "amx_tile", "avx512_bf16", "avx512_vnni", "avx512f", "avx2")


def machine_facts() -> dict[str, str]:
    """Return the processor, its cores and instructions, the memory, the system and its load."""
    model, flags = _processor(Path("/proc/cpuinfo").read_text())
    return {
        "processor": model,
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "instructions": ", ".join(flag for flag in FLAGS if flag in flags) or "none of note",
        "AMX": "yes" if "amx_bf16" in flags else "no",
        "memory": f"{total_bytes() / 1e9:.1f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }


def noise() -> str:
    """Return the load of the last minute: over zero before a run, somebody else is working too."""
    return f"load average {os.getloadavg()[0]:.1f}"


def _processor(cpuinfo: str) -> tuple[str, frozenset[str]]:
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    fields = {name.strip(): value.strip() for name, _, value in lines}
    model = fields.get("model name", platform.machine())
    return model, frozenset(fields.get("flags", fields.get("Features", "")).split())
