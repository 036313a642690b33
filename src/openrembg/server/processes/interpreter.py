"""How a process of ours starts another one."""

import sys


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this interpreter.

    -P: the folder that the server was started in may hold files with the names of modules.
    """
    return [sys.executable, "-P", "-m", module, *arguments]
