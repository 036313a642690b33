"""Which models there are: cards, files, and reading a file only when its checksum is right.

A model is two files side by side: `<name>.onnx`, the weights, and `<name>.json`, its card. The
folder `weights/` next to this module holds the model that ships with the package and the cards of
public models that `pull.py` can fetch. A folder of the operator's own holds pulled models, and
any other model that somebody puts there with a card.

To replace the shipped model, put its two files into `weights/` and change DEFAULT_MODEL.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal, cast, get_args

from openrembg.matting.errors import CorruptModel, UnknownModel

DEFAULT_MODEL: Final = "openrembg-v2"
PACKAGED_DIR: Final = Path(__file__).with_name("weights")

Activation = Literal["none", "sigmoid"]
Channels = tuple[float, float, float]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", re.ASCII)
_MAX_INPUT_SIDE = 4096
_HASH_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the network takes: float32[1, 3, side, side], RGB, the whole photo squeezed square.

    name: the input's name in the ONNX file, None for its first.
    mean, std: subtracted from and divided into 0..1, a number a channel.
    divide_by_max: scale by the photo's own brightest value instead of 255.
    """

    name: str | None
    side: int
    mean: Channels
    std: Channels
    divide_by_max: bool


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """What the network gives: float32[1, 1, h, w], and how it becomes an alpha in 0..1.

    name: the output's name in the ONNX file, None for its first.
    activation: what is still to be applied.
    stretch: afterwards map the lowest value to 0 and the highest to 1.
    subject: the name of an output float32[1, 1], the chance of a clear subject in 0..1; None where
    the network has none.
    """

    name: str | None
    activation: Activation
    stretch: bool
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a model before its file is opened.

    file: the file's name at its publisher; on this machine it is always `<name>.onnx`.
    digest: `sha256:<hex>`, or `md5:<hex>` where the publisher states nothing better.
    bytes: the file's size for display, None when unknown; only the digest decides what is right.
    """

    name: str
    file: str
    digest: str
    bytes: int | None
    input: InputSpec
    output: OutputSpec
    licence: str
    source: str
    description: str


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's file on this machine, with the card that says what it must be."""

    card: Card
    path: Path

    def read(self) -> bytes:
        """Return the file's bytes. Raises CorruptModel when they are not what the card promises."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise CorruptModel(
                f"The weights of '{self.card.name}' cannot be read ({error.strerror})."
            ) from error
        if not matches(self.card.digest, data):
            raise self._corrupt()
        return data

    def verify(self) -> None:
        """Raise CorruptModel unless the file has the card's checksum. Reads it piece by piece."""
        try:
            actual = file_digest(self.path, self.card.digest)
        except OSError as error:
            raise CorruptModel(
                f"The weights of '{self.card.name}' cannot be read ({error.strerror})."
            ) from error
        if actual != self.card.digest:
            raise self._corrupt()

    def _corrupt(self) -> CorruptModel:
        return CorruptModel(
            f"The weights of '{self.card.name}' do not have the checksum that their card states."
        )


def find_weights(name: str = DEFAULT_MODEL, models_dir: Path | None = None) -> Weights:
    """Return the model of that name: the package's own first, then what lies in `models_dir`.

    Raises UnknownModel naming the models there are, CorruptModel when its card is unreadable.
    """
    for folder in _folders(models_dir):
        if is_model_name(name) and (folder / f"{name}.onnx").is_file():
            return Weights(_card_of_file(name, folder), folder / f"{name}.onnx")
    raise _unknown(name, models_dir)


def installed(models_dir: Path | None = None) -> tuple[Weights, ...]:
    """Return every model on this machine that has a readable card, the package's own first."""
    return tuple(_usable(installed_names(models_dir), models_dir))


def installed_names(models_dir: Path | None = None) -> tuple[str, ...]:
    """Return the name of every weights file on this machine, also of those without a card."""
    names = (name for folder in _folders(models_dir) for name in _names_in(folder))
    return tuple(dict.fromkeys(names))


def find_card(name: str, models_dir: Path | None = None) -> Card:
    """Return the card of a model that can be pulled: the operator's own, or a public one's.

    Raises UnknownModel naming those there are, CorruptModel when the operator's is unreadable.
    """
    if models_dir is not None and is_model_name(name) and (models_dir / f"{name}.json").is_file():
        return read_card(models_dir / f"{name}.json")
    for card in KNOWN:
        if card.name == name:
            return card
    raise _unknown(name, models_dir)


def is_model_name(name: str) -> bool:
    """Say whether `name` is safe as a file's stem: lower-case letters, digits, `.`, `_`, `-`."""
    return _NAME.fullmatch(name) is not None


def matches(digest: str, data: bytes) -> bool:
    """Say whether `data` has the checksum `sha256:<hex>` or `md5:<hex>`."""
    algorithm, _, expected = digest.partition(":")
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() == expected


def file_digest(path: Path, like: str) -> str:
    """Return the checksum of a file, by the algorithm that the digest `like` uses."""
    algorithm = like.partition(":")[0]
    state = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            state.update(chunk)
    return f"{algorithm}:{state.hexdigest()}"


def read_card(path: Path) -> Card:
    """Return the card in a JSON file; keys that are not a Card's are for human readers.

    Raises CorruptModel when it is no JSON, or a value is missing or out of range.
    """
    try:
        card = _parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise CorruptModel(
            f"The card of '{path.stem}' cannot be used: {_reason(error)}."
        ) from error
    if card.name != path.stem:
        raise CorruptModel(f"The card of '{path.stem}' cannot be used: it names another model.")
    return card


def card_text(card: Card, digest: str, size: int) -> str:
    """Return the JSON of a card for the very file whose checksum and size are given."""
    return json.dumps(asdict(replace(card, digest=digest, bytes=size)), indent=2) + "\n"


def _folders(models_dir: Path | None) -> tuple[Path, ...]:
    return (PACKAGED_DIR,) if models_dir is None else (PACKAGED_DIR, models_dir)


def _names_in(folder: Path) -> list[str]:
    names = (path.stem for path in folder.glob("*.onnx") if path.is_file())
    return sorted(name for name in names if is_model_name(name))


def _usable(names: tuple[str, ...], models_dir: Path | None) -> Iterator[Weights]:
    for name in names:
        try:
            yield find_weights(name, models_dir)
        except (CorruptModel, UnknownModel):
            continue


def _card_of_file(name: str, folder: Path) -> Card:
    """Return the card beside a weights file; one of a public model may come without."""
    if (folder / f"{name}.json").is_file():
        return read_card(folder / f"{name}.json")
    for card in KNOWN:
        if card.name == name:
            return card
    raise CorruptModel(f"The weights of '{name}' have no card: put {name}.json beside them.")


def _unknown(name: str, models_dir: Path | None) -> UnknownModel:
    here = ", ".join(installed_names(models_dir))
    public = ", ".join(card.name for card in KNOWN)
    return UnknownModel(
        f"There is no model '{name[:64]}' here. Installed: {here}. "
        f"To fetch one of {public}: openrembg models pull NAME"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, OSError):
        return str(error.strerror)
    return str(error).rstrip(".") or type(error).__name__


def _parse(raw: object) -> Card:
    fields = _mapping(raw, "the card")
    size = fields.get("bytes")
    return Card(
        name=_match(fields, "name", _NAME),
        file=_match(fields, "file", _FILE),
        digest=_match(fields, "digest", _DIGEST),
        bytes=None if size is None else _integer(fields, "bytes", 1, 1 << 40),
        input=_parse_input(_mapping(fields["input"], "input")),
        output=_parse_output(_mapping(fields["output"], "output")),
        licence=_text(fields, "licence"),
        source=_text(fields, "source"),
        description=_text(fields, "description"),
    )


def _parse_input(fields: Mapping[str, object]) -> InputSpec:
    std = _channels(fields, "std")
    if min(std) <= 0:
        raise ValueError("'std' must be above 0")
    return InputSpec(
        name=_optional_text(fields, "name"),
        side=_integer(fields, "side", 16, _MAX_INPUT_SIDE),
        mean=_channels(fields, "mean"),
        std=std,
        divide_by_max=_flag(fields, "divide_by_max"),
    )


def _parse_output(fields: Mapping[str, object]) -> OutputSpec:
    activation = _text(fields, "activation")
    if activation not in get_args(Activation):
        raise ValueError(f"'activation' must be one of {', '.join(get_args(Activation))}")
    return OutputSpec(
        name=_optional_text(fields, "name"),
        activation=cast(Activation, activation),
        stretch=_flag(fields, "stretch"),
        subject=None if fields.get("subject") is None else _text(fields, "subject"),
    )


def _mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"{what} must be a JSON object")
    return value


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields[key]
    if not isinstance(value, str):
        raise TypeError(f"'{key}' must be a text")
    return value


def _optional_text(fields: Mapping[str, object], key: str) -> str | None:
    return None if fields[key] is None else _text(fields, key)


def _match(fields: Mapping[str, object], key: str, pattern: re.Pattern[str]) -> str:
    value = _text(fields, key)
    if pattern.fullmatch(value) is None:
        raise ValueError(f"'{key}' does not look like a {key}")
    return value


def _integer(fields: Mapping[str, object], key: str, low: int, high: int) -> int:
    value = fields[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"'{key}' must be a whole number from {low} to {high}")
    return value


def _flag(fields: Mapping[str, object], key: str) -> bool:
    value = fields[key]
    if not isinstance(value, bool):
        raise TypeError(f"'{key}' must be true or false")
    return value


def _channels(fields: Mapping[str, object], key: str) -> Channels:
    value = fields[key]
    if not isinstance(value, list) or len(value) != 3 or not all(map(_is_number, value)):
        raise ValueError(f"'{key}' must be three numbers")
    red, green, blue = (float(number) for number in value)
    return (red, green, blue)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _public_cards() -> tuple[Card, ...]:
    """Read the cards whose weights do not ship with the package."""
    cards = sorted(PACKAGED_DIR.glob("*.json"))
    return tuple(read_card(path) for path in cards if not path.with_suffix(".onnx").is_file())


KNOWN: Final = _public_cards()
