"""Our ES modules: TypeScript finds no error in the types that their comments say.

The scripts of others that lie beside them are the published ones.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE = ROOT / "tests" / "wire" / "node"
STATIC = ROOT / "src" / "openrembg" / "server" / "static" / "openrembg"
COMPILER = ("node", "node_modules/typescript/bin/tsc", "--project", "tsconfig.json")
SCRIPTS = sorted(path for path in STATIC.rglob("*.js") if "vendor" not in path.parts)
PUBLISHED = NODE / "node_modules"
VENDORED = {
    "client-zip.js": PUBLISHED / "client-zip" / "index.js",
    "client-zip.d.ts": PUBLISHED / "client-zip" / "index.d.ts",
}
# What would hide an error.
SILENCERS = re.compile(r"@ts-(ignore|nocheck|expect-error)")


def compiled(*options: str) -> str:
    """Return what TypeScript says."""
    done = subprocess.run(
        [*COMPILER, *options],
        cwd=NODE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def test_the_scripts_have_the_types_that_they_say() -> None:
    assert compiled().splitlines() == []


def test_every_script_is_looked_at() -> None:
    looked_at = {Path(line) for line in compiled("--listFilesOnly").splitlines()}
    assert len(SCRIPTS) > 5
    assert set(SCRIPTS) - looked_at == set()


def test_no_script_hides_an_error() -> None:
    hidden = [path.name for path in SCRIPTS if SILENCERS.search(path.read_text("utf-8"))]
    assert hidden == []


def test_scripts_of_others_are_what_npm_has() -> None:
    found = {
        path.name: path.read_bytes() for path in STATIC.rglob("vendor/*.*") if path.suffix != ".txt"
    }
    assert found == {name: path.read_bytes() for name, path in VENDORED.items()}
