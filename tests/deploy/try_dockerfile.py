"""Carry out deploy/Dockerfile without Docker, and use what comes of it.

    sudo .venv/bin/python tests/deploy/try_dockerfile.py [--extras "ray otel"] [--keep FOLDER]

The base image is a Debian root that debootstrap makes (cached in .cache/deploy), with Debian's own
Python where the real image has its own build; each RUN is a shell in a chroot of its own. Then the
last stage runs as a container would: read-only root, its user, no new privileges, tmpfs on /tmp, a
volume on /data. HEALTHCHECK's command has to succeed, a picture to come back, SIGTERM to end it.

Needs root and Linux. Takes minutes, so it is no test of the suite.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import dockerfile_steps as dockerfile  # noqa: E402 (the paths come first)
from dockerfile_steps import DOCKERFILE, ROOT, Stage, Step  # noqa: E402

from forms import photo, post  # noqa: E402
from pictures import picture  # noqa: E402
from services import Service, children_of, free_port  # noqa: E402

CACHE = ROOT / ".cache" / "deploy"
PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates"
# The machine's own ways to packages: lent to each RUN, never part of a stage.
LENT = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs")
START_S = 120
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(slots=True)
class Build:
    """A stage on its way. variables: those of ARG and ENV; environment: those of ENV alone."""

    root: Path
    arguments: dict[str, str]
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": BASE_PATH})
    folder: str = "/"

    @property
    def variables(self) -> dict[str, str]:
        return {**self.arguments, **self.environment}


def main() -> None:
    options = _options()
    recipe = dockerfile.read_recipe(DOCKERFILE.read_text())
    with tempfile.TemporaryDirectory(prefix="openrembg-image-") as made:
        folder = Path(options.keep or made)
        builds: dict[str, Build] = {}
        for stage in recipe.stages:
            name = stage.name or "last"
            print(f"== {stage.base} AS {name}", flush=True)
            given = {"EXTRAS": options.extras}
            builds[name] = _carry_out(stage, folder / name, builds, given)
        last = recipe.stages[-1]
        _tell_size(builds["last"].root)
        _use(last, builds["last"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--extras", default="", help="the build argument EXTRAS")
    parser.add_argument("--keep", help="an empty folder to leave the stages in")
    return parser.parse_args()


def _carry_out(stage: Stage, root: Path, builds: dict[str, Build], given: dict[str, str]) -> Build:
    subprocess.run(["cp", "-a", str(_base()), str(root)], check=True)
    build = Build(root, {})
    for step in stage.steps:
        began = time.monotonic()
        _do(step, build, builds, given)
        print(f"   {step.name} {step.words[:70]} ({time.monotonic() - began:.1f} s)", flush=True)
    return build


def _do(step: Step, build: Build, builds: dict[str, Build], given: dict[str, str]) -> None:
    match step.name:
        case "ARG":
            build.arguments |= {n: given.get(n, v) for n, v in dockerfile.pairs(step.words).items()}
        case "ENV":
            build.environment |= dockerfile.pairs(_expanded(step, build))
        case "WORKDIR":
            build.folder = _expanded(step, build)
            _inside(build, build.folder).mkdir(parents=True, exist_ok=True)
        case "COPY":
            _copy(_expanded(step, build), build, builds)
        case "RUN":
            _run(step.words, build)
        case "USER" | "LABEL" | "VOLUME" | "EXPOSE" | "STOPSIGNAL":
            pass
        case "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
            pass
        case other:
            raise dockerfile.DockerfileError(f"{other} is not known here")


def _expanded(step: Step, build: Build) -> str:
    return dockerfile.expanded(step.words, build.variables)


def _inside(build: Build, path: str) -> Path:
    """Return where a path of the stage is on this machine."""
    return build.root / str(Path(build.folder, path)).lstrip("/")


def _copy(words: str, build: Build, builds: dict[str, Build]) -> None:
    options, rest = dockerfile.flags(words)
    *sources, target = shlex.split(rest)
    if "from" in options:
        for source in sources:
            subprocess.run(
                [
                    *("cp", "-a", str(_inside(builds[options["from"]], source))),
                    str(_inside(build, target)),
                ],
                check=True,
            )
        return
    allowed = set(dockerfile.context_files((ROOT / ".dockerignore").read_text()))
    for source in sources:
        files = [path for path in allowed if path.is_relative_to(source)]
        if not files:
            raise dockerfile.DockerfileError(f"{source} is not in the build's context")
        for path in files:
            # A folder's contents are copied, not the folder; a file goes below a folder's name.
            to = _inside(build, target) / (
                path.relative_to(source) if str(path) != source else path
            )
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, to)


def _run(script: str, build: Build) -> None:
    lent = [Path(path) for path in LENT if Path(path).exists()]
    lent += [Path(path) for path in _package_folders()]
    mounts = "".join(_mount(path, build.root) for path in lent)
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environment = {**build.environment, **build.arguments, **pip, **_pip_settings()}
    _in_namespace(
        f"{mounts}exec chroot {build.root} /usr/bin/env -i {_assignments(environment)} "
        f"/bin/sh -c {shlex.quote(f'cd {build.folder} && {script}')}",
        build.root,
    )


def _mount(path: Path, root: Path) -> str:
    where = f"{root}{path}"
    make = f"mkdir -p {where}" if path.is_dir() else f"mkdir -p {Path(where).parent}; : >>{where}"
    return f"{make}; mount --bind {path} {where}; "


def _package_folders() -> list[str]:
    """Return the folders of this machine that its pip finds packages in."""
    words = " ".join(_pip_settings().values()).split()
    found = {
        Path(word.removeprefix("file://")) for word in words if word.startswith(("/", "file:"))
    }
    # An index may lead to files beside it.
    return sorted({str(Path(*path.parts[:3])) for path in found if path.is_dir()})


def _pip_settings() -> dict[str, str]:
    """Return this machine's pip settings as the variables that pip reads too."""
    lines = subprocess.check_output(["pip", "config", "list"], text=True).splitlines()
    settings = {}
    for line in lines:
        name, _, value = line.partition("=")
        if not name.startswith(":env:"):
            variable = name.rpartition(".")[2].upper().replace("-", "_")
            settings[f"PIP_{variable}"] = value.strip("'").replace("\\n", " ")
    return settings


def _assignments(environment: Mapping[str, str]) -> str:
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())


def _in_namespace(script: str, root: Path) -> None:
    subprocess.run(_namespace(script, root), check=True)


def _namespace(script: str, root: Path) -> list[str]:
    """Return a command that runs `script` with mounts and process ids of its own."""
    prepare = f"mount -t proc proc {root}/proc; mount --rbind /dev {root}/dev; "
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"]
    return [*command, "sh", "-euc", prepare + script]


def _base() -> Path:
    """Return a Debian root with Python, made the first time."""
    base = CACHE / "bookworm"
    if not base.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        making = CACHE / f"bookworm.{os.getpid()}"
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm"]
        subprocess.run([*command, str(making), *_mirror()], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(making / "var" / "cache" / "apt")
        making.rename(base)
    return base


def _mirror() -> list[str]:
    """Return where this machine's apt gets Debian from, nothing for debootstrap's own choice."""
    for file in sorted(Path("/etc/apt").glob("sources.list.d/*.sources")):
        for line in file.read_text().splitlines():
            if line.startswith("URIs:"):
                return [line.split()[1]]
    return []


def _tell_size(root: Path) -> None:
    for name, path in {"image": root, "over the base": root / "opt" / "openrembg"}.items():
        bytes_ = int(subprocess.check_output(["du", "-sxb", str(path)]).split()[0])
        print(f"== {name}: {bytes_ / 1e6:.0f} MB", flush=True)


def _use(stage: Stage, build: Build) -> None:
    port = free_port()
    environment = {**build.environment, "OPENREMBG_PORT": str(port)}
    environment |= {"OPENREMBG_ANONYMOUS_PER_MINUTE": "-1", "OPENREMBG_ANONYMOUS_PER_DAY": "-1"}
    words = [*stage.the("ENTRYPOINT").json(), *stage.the("CMD").json()]
    user = stage.the("USER").words
    _, _, check = stage.the("HEALTHCHECK").words.partition(" CMD ")
    server = subprocess.Popen(_contained(words, build, user, environment))
    try:
        (inner,) = _first_child(server)
        _wait_until_healthy(Step("HEALTHCHECK", check).json(), inner, user, environment)
        print(f"== healthy; {_status(inner)}", flush=True)
        print(f"== a picture: {_cut_out(Service(server, port, Path(os.devnull)))}", flush=True)
        os.kill(inner, signal.Signals[stage.the("STOPSIGNAL").words])
        print(f"== ended with {server.wait(60)}", flush=True)
    finally:
        server.kill()
        server.wait()


def _contained(
    words: list[str], build: Build, user: str, environment: Mapping[str, str]
) -> list[str]:
    root = build.root
    uid, _, gid = user.partition(":")
    prepare = (
        f"mount --bind {root} {root}; mount -o remount,ro,bind {root}; "
        f"mount -t proc proc {root}/proc; mount --rbind /dev {root}/dev; "
        f"mount --rbind -o ro /sys {root}/sys; "
        f"mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs {root}/tmp; "  # noqa: S108
        f"mount -t tmpfs -o mode=0700,uid={uid},gid={gid} tmpfs {root}/data; "
    )
    start = (
        f"exec setpriv --no-new-privs chroot --userspec={user} --groups= {root} "
        f"/usr/bin/env -i {_assignments(environment)} {shlex.join(words)}"
    )
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"]
    return [*command, "sh", "-euc", prepare + start]


def _first_child(process: "subprocess.Popen[bytes]") -> list[int]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if children := children_of(process.pid):
            return children
        time.sleep(0.05)
    raise TimeoutError("nothing was started")


def _wait_until_healthy(
    check: list[str], inner: int, user: str, environment: Mapping[str, str]
) -> None:
    """Run HEALTHCHECK's command in the container, as Docker does, until it succeeds."""
    enter = ["nsenter", "--target", str(inner), "--mount", "--pid", "--root", "--"]
    uid, _, gid = user.partition(":")
    who = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]
    what = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *check]
    deadline = time.monotonic() + START_S
    while subprocess.run([*enter, *who, *what], stderr=subprocess.DEVNULL).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError("HEALTHCHECK never succeeded")
        time.sleep(0.5)


def _status(pid: int) -> str:
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    names = ("Uid", "CapEff", "NoNewPrivs", "VmRSS")
    return ", ".join(f"{name} {' '.join(status[name].split())}" for name in names)


def _cut_out(server: Service) -> str:
    """Post a picture as soon as the model is warm, and say what came."""
    deadline = time.monotonic() + START_S
    while (answer := post(server, photo(picture("JPEG")))).status == 503:
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if answer.status != 200:
        raise RuntimeError(f"no picture: {answer.status} {answer.body[:200]!r}")
    kind, model = answer.headers["Content-Type"], answer.headers["X-Model"]
    return f"{answer.status} {kind}, {len(answer.body)} bytes, {model}"


if __name__ == "__main__":
    main()
