"""The house itself: the script of tasks, the locks, and documents that say what is true."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOT_OURS = {
    *(".git", ".venv", ".bench", ".fuzz", ".cache", "node_modules", "__pycache__", "dist", "build"),
    *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"),
    "shared",
}
# Put together here, so that this file does not name them either.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        *(("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("yarnpkg", "com")),
        *(("deb", "debian", "org"), ("security", "debian", "org"), ("archive", "ubuntu", "com")),
        *(("anaconda", "org"), ("download", "pytorch", "org")),
    )
]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").glob("*.md")}
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
RUN_S = 60


def our_files() -> Iterator[Path]:
    """Yield every file that belongs to the repository."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS]
        yield from (Path(folder) / name for name in files)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run(*arguments: str, script: Path = ROOT / "run", **options: object) -> tuple[int, str]:
    """Call the script of tasks and return its exit code and everything that it said."""
    done = subprocess.run(
        [str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=RUN_S,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    return done.returncode, done.stdout


def verbs() -> set[str]:
    """Return the verbs that the script of tasks has, read from its last `case`."""
    cases = (ROOT / "run").read_text().rpartition("case $verb in")[2]
    found = re.findall(r"^    ([a-z| -]+)\)", cases, re.MULTILINE)
    return {verb.strip() for line in found for verb in line.split("|")}


def test_no_file_names_a_package_registry() -> None:
    named = [
        (name_of(path), host)
        for path in our_files()
        for host in REGISTRIES
        if host.encode() in path.read_bytes()
    ]
    assert named == []


def test_there_is_a_lock_for_the_server_the_tests_and_the_benchmark() -> None:
    assert {"server", "dev", "bench"} <= {path.stem for path in LOCKS}


@pytest.mark.parametrize("lock", LOCKS, ids=name_of)
def test_every_locked_requirement_has_one_version_and_its_hashes(lock: Path) -> None:
    text = lock.read_text().replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert requirements
    for requirement in requirements:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==[^ ;]+ ", requirement), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", requirement), requirement
        assert "://" not in requirement


def test_the_tests_run_with_the_versions_that_the_server_runs_with() -> None:
    served, tested = (_versions(ROOT / "requirements" / name) for name in ("server.txt", "dev.txt"))
    assert {name: tested[name] for name in served} == served


def _versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def test_node_packages_are_locked_by_hash_and_name_no_address() -> None:
    packages = json.loads((ROOT / "tests/wire/node/package-lock.json").read_text())["packages"]
    installed = {path: package for path, package in packages.items() if path}
    assert "node_modules/@remove-background-ai/rembg.js" in installed
    assert all(package["integrity"].startswith("sha512-") for package in installed.values())
    assert not any("resolved" in package for package in installed.values())


def test_the_script_is_plain_sh_and_may_be_executed() -> None:
    for script in (ROOT / "run", ROOT / ".ci" / "run"):
        assert script.read_text().startswith("#!/bin/sh\n")
        assert os.access(script, os.X_OK)
        subprocess.run(["sh", "-n", str(script)], check=True)


def test_help_tells_of_every_verb() -> None:
    code, said = run("help")
    assert code == 0
    assert {"setup", "serve", "remove", "test", "lint", "bench", "help"} <= verbs()
    for verb in verbs() - {"-h", "--help", "*"}:
        assert re.search(rf"^  {verb}\b", said, re.MULTILINE), verb


def test_no_verb_at_all_is_a_question_for_help() -> None:
    assert run() == run("help")


def test_an_unknown_verb_is_refused_with_the_help() -> None:
    code, said = run("fly")
    assert code == 2
    assert "there is no verb 'fly'" in said
    assert "Usage: ./run VERB" in said


@pytest.mark.parametrize("extra", ["nothing", "../dev", "dev", "a b", ""])
def test_an_unknown_extra_is_refused_with_a_sentence(extra: str) -> None:
    code, said = run("setup", "--extra", extra)
    assert (code, said) == (1, f"./run: there is no extra '{extra}'.\n")


def test_the_script_is_found_through_links_from_a_path_with_a_space(tmp_path: Path) -> None:
    home = tmp_path / "a tree"
    home.mkdir()
    shutil.copy(ROOT / "run", home / "run")
    first, second = tmp_path / "first link", tmp_path / "second link"
    first.symlink_to("a tree/run")
    second.symlink_to(first)
    assert run("help", script=second, cwd="/", env={"PATH": os.defpath})[0] == 0
    # Without requirements it gets as far as looking for them: it knows where it lies.
    code, said = run("setup", "--extra", "gpu", script=second, cwd="/", env={"PATH": os.defpath})
    assert (code, said) == (1, "./run: there is no extra 'gpu'.\n")


def test_a_machine_without_python_is_told_what_to_install(tmp_path: Path) -> None:
    home, programs = tmp_path / "home", tmp_path / "bin"
    shutil.copytree(ROOT / "requirements", home / "requirements")
    shutil.copy(ROOT / "run", home / "run")
    shutil.copy(ROOT / "pyproject.toml", home / "pyproject.toml")
    programs.mkdir()
    for name in ("sh", "dirname", "readlink", "cat", "cksum", "mkdir"):
        (programs / name).symlink_to(shutil.which(name) or name)
    code, said = run("setup", script=home / "run", env={"PATH": str(programs)})
    assert code == 1
    assert "this needs Python 3.11 or newer" in said
    assert "apt-get install python3 python3-venv" in said


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_documents_name_only_verbs_that_are_there(document: Path) -> None:
    named = set(re.findall(r"\./run ([a-z]+)", document.read_text()))
    assert named <= verbs()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_documents_name_only_settings_that_are_there(document: Path) -> None:
    known = (ROOT / "docs" / "settings.md").read_text()
    named = set(re.findall(r"\bOPENREMBG_[A-Z_]*[A-Z]\b", document.read_text()))
    assert {name for name in named if f"`{name}`" not in known} == set()


def test_the_architecture_names_only_files_that_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:matting|server|cli)/[a-z_/]+(?:\.py)?)`", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / "src/openrembg" / name).exists()] == []


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_a_decision_has_three_parts_on_one_screen(decision: Path) -> None:
    text = decision.read_text()
    assert text.startswith(f"# {int(decision.name[:4])}. ")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= 50


def test_the_changelog_tells_of_what_is_coming() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_licence_is_the_one_that_the_package_states() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()
