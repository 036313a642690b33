"""What can go wrong while a background is removed.

    MattingError
    ├── InvalidOptions          an option is out of range; carries one FieldError a field
    ├── ImageError              the caller's picture cannot be used
    │   ├── UnsupportedImage    not a PNG, JPEG, WebP or BMP by its bytes, or its header is broken
    │   ├── ImageTooLarge       a side is over the limit; carries one message a side
    │   └── UndecodableImage    the header is fine, the pixels are not
    └── ModelError              the operator's model cannot be used
        ├── UnknownModel        no such model here; says which there are
        ├── CorruptModel        the file does not have the card's checksum
        ├── ProviderUnavailable the asked-for provider does not run on this machine
        ├── InferenceFailed     the runtime raised while it ran
        └── PullFailed          a download did not give the file that the card promises

The messages are public: they name no path, library or value that a stranger must not see.
"""

from dataclasses import dataclass

INVALID_SIGNATURE = "File does not appear to be a valid image (invalid file signature)"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One option or form field and what is wrong with it, in the contract's words."""

    field: str
    message: str


class MattingError(Exception):
    """The root of every error that this package raises on purpose."""


class InvalidOptions(MattingError):
    """Options out of range. `errors` has one entry for each wrong field."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


class ImageError(MattingError):
    """A picture that cannot be used. `messages` has one sentence for each fault."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


class UnsupportedImage(ImageError):
    """The bytes are none of the four formats, or their header does not parse."""

    def __init__(self) -> None:
        super().__init__(INVALID_SIGNATURE)


class ImageTooLarge(ImageError):
    """Width or height over the limit, known from the header alone."""


class UndecodableImage(ImageError):
    """The pixels are truncated, corrupt, or a bomb."""

    def __init__(self) -> None:
        super().__init__(INVALID_SIGNATURE)


class ModelError(MattingError):
    """A model that cannot be used."""


class UnknownModel(ModelError):
    """No model of that name on this machine."""


class CorruptModel(ModelError):
    """A weights file without the checksum that its card states."""


class ProviderUnavailable(ModelError):
    """The provider that was asked for is not installed or does not start."""


class InferenceFailed(ModelError):
    """The runtime raised while it computed a matte."""


class PullFailed(ModelError):
    """A model could not be downloaded, or what came is not the promised file."""
