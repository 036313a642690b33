"""`openrembg deploy-replicas`: put what the settings say onto the Ray cluster."""

import json
import os
import subprocess
from importlib.util import find_spec

from openrembg.cli.terminal import say, stop


def deploy_replicas() -> None:
    """Start the replicas on OPENREMBG_RAY_ADDRESS, or replace those that run, one by one."""
    if any(find_spec(package) is None for package in ("django", "ray")):
        stop("Ray is not installed: pip install 'openrembg[server,ray]'")
    note = _deployed()
    if "replicas" not in note:
        detail = f" {note['detail']}" if note.get("detail") else ""
        stop(f"{note.get('reason', 'The replicas were not deployed.')}{detail}")
    say(f"{note['replicas']} of the cluster's replicas run as the settings say.")


def _deployed() -> dict[str, str]:
    """Return what the process says that deployed them: how many replicas run, or why none do."""
    from openrembg.server.environment import SettingsError

    try:
        from openrembg.server.inference.backend import bridge_command, environment_for_ray
        from openrembg.server.settings import OPENREMBG
    except SettingsError as error:
        stop(str(error))
    if OPENREMBG.ray_address is None:
        stop("OPENREMBG_RAY_ADDRESS names no cluster; a server's own Ray gets its replicas itself.")
    result = subprocess.run(
        bridge_command(OPENREMBG, descriptor=-1),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment_for_ray(os.environ),
        check=False,
    )
    lines = result.stdout.decode(errors="replace").splitlines()
    return dict(json.loads(lines[-1])) if lines else {}
