"""Read deploy/Dockerfile and .dockerignore: stages, instructions, what may be copied."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class DockerfileError(Exception):
    """What Docker would refuse, or what this reader does not know."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction. words: what follows its name, on one line and not expanded."""

    name: str
    words: str

    def json(self) -> list[str]:
        """Return the words of the exec form; raise DockerfileError for any other."""
        try:
            words = json.loads(self.words)
        except ValueError as error:
            raise DockerfileError(f"{self.name} is not in exec form: {self.words}") from error
        return [str(word) for word in words]


@dataclass(frozen=True, slots=True)
class Stage:
    """What comes from one FROM to the next. name: empty for the last one."""

    base: str
    name: str
    steps: tuple[Step, ...]

    def all(self, name: str) -> list[Step]:
        """Return the instructions of that name."""
        return [step for step in self.steps if step.name == name]

    def the(self, name: str) -> Step:
        """Return the one instruction of that name."""
        (step,) = self.all(name)
        return step


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole Dockerfile. arguments: those before the first FROM, with their defaults."""

    arguments: Mapping[str, str]
    stages: tuple[Stage, ...]


def read_recipe(text: str) -> Recipe:
    """Return what a Dockerfile says."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for step in steps(text):
        if step.name == "FROM":
            stages.append(_stage(step))
        elif stages:
            last = stages[-1]
            stages[-1] = Stage(last.base, last.name, (*last.steps, step))
        elif step.name == "ARG":
            arguments |= pairs(step.words)
        else:
            raise DockerfileError(f"{step.name} before FROM")
    return Recipe(arguments, tuple(stages))


def steps(text: str) -> Iterator[Step]:
    """Yield the instructions of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, words = line.strip().partition(" ")
        if name:
            yield Step(name.upper(), words.strip())


def pairs(words: str) -> dict[str, str]:
    """Return NAME=value pairs; a name without a value has the empty one."""
    return {name: value for name, _, value in (word.partition("=") for word in shlex.split(words))}


def expanded(words: str, variables: Mapping[str, str]) -> str:
    """Put values where their names are."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), words)


def flags(words: str) -> tuple[dict[str, str], str]:
    """Split the --name=value that an instruction begins with from what follows."""
    found: dict[str, str] = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", words):
        found[match[1]] = match[2]
        words = words[match.end() :]
    return found, words


def context_files(ignore: str, folder: Path = ROOT) -> Iterator[PurePosixPath]:
    """Yield the files that .dockerignore lets into the build, relative to `folder`.

    Reads the part of its language that ours uses: `*` first, then what is let in again by name,
    then `**/` patterns for names anywhere.
    """
    rules = [line for line in ignore.splitlines() if line and not line.startswith("#")]
    if rules[0] != "*":
        raise DockerfileError("the first rule has to leave out everything")
    let_in = [rule[1:] for rule in rules[1:] if rule.startswith("!")]
    anywhere = [rule.removeprefix("**/") for rule in rules[1:] if rule.startswith("**/")]
    if len(let_in) + len(anywhere) + 1 != len(rules):
        raise DockerfileError("a rule of another kind")
    for name in let_in:
        start = folder / name
        for path in [start] if start.is_file() else sorted(start.rglob("*")):
            inside = PurePosixPath(path.relative_to(folder))
            parts = inside.parts
            if path.is_file() and not any(fnmatchcase(p, rule) for p in parts for rule in anywhere):
                yield inside


def _stage(step: Step) -> Stage:
    base, *rest = step.words.split()
    if not rest:
        return Stage(base, "", ())
    if len(rest) != 2 or rest[0].upper() != "AS":
        raise DockerfileError(f"FROM {step.words}")
    return Stage(base, rest[1], ())
