"""Read the form of POST /rmbg: its text fields and the image part, left where it lies.

The image's bytes are not copied while the form is read: the part's place in the spooled body is
remembered, and `Upload.read()` fetches them in one go.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import parse_qsl, unquote_to_bytes

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

READ_BYTES = 256 * 1024
MAX_PARTS = 1000
MAX_PART_HEADERS = 16
MAX_PART_HEADER_BYTES = 8 * 1024
# Longer text is cut. No valid value is nearly as long, and messages quote 64 characters.
MAX_FIELD_BYTES = 64 * 1024
MAX_TEXT_BYTES = 1024 * 1024
MAX_FILENAME_CHARS = 255

# One that never ends goes to the end of the header: looking for another start would be quadratic.
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"?')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# RFC 5987: filename*=UTF-8''na%C3%AFve.png
_EXTENDED_FILENAME = re.compile(r"filename\*\s*=\s*([\w-]+)'[^']*'([^;\s]*)", re.IGNORECASE)


class MalformedForm(Exception):
    """The body is not the multipart form that its Content-Type promises.

    No boundary, truncated, garbage, or over a limit. To the client this is a body without a
    readable image part, so the contract's first image check is the answer.
    """


@dataclass(frozen=True, slots=True)
class Upload:
    """The image part: the name that the client gave, and where its bytes lie.

    `filename` is the last component of a path, without control characters; it is "" when the
    client chose no file. `size` is in bytes.
    """

    filename: str
    size: int
    _stream: IO[bytes] = field(repr=False, compare=False)
    _offset: int = field(repr=False, compare=False)

    def read(self) -> bytes:
        """Return the part's bytes; valid while the request is being served."""
        self._stream.seek(self._offset)
        return self._stream.read(self.size)

    def sha256(self) -> str:
        """Return the digest of the part's bytes in hex, of which few are in memory at a time."""
        digest = hashlib.sha256()
        self._stream.seek(self._offset)
        for start in range(0, self.size, READ_BYTES):
            digest.update(self._stream.read(min(READ_BYTES, self.size - start)))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Form:
    """What the client sent; of fields that were sent twice, the first."""

    fields: dict[str, str]
    image: Upload | None = None
    # A field called image without a file name: text, not a file part.
    image_sent_as_text: bool = False


def read_form(stream: IO[bytes], content_type: str, content_length: int | None) -> Form:
    """Read a form from `stream`, whose body has `content_length` bytes (None: up to its end).

    A urlencoded body gives its fields and no image; any other content type, and an empty body,
    an empty form. Raises MalformedForm.
    """
    media_type, parameters = parse_options_header(content_type)
    if media_type == "multipart/form-data":
        boundary = parameters.get("boundary", "").encode("latin-1", "replace")
        return _read_multipart(stream, boundary, content_length)
    if media_type == "application/x-www-form-urlencoded":
        return _read_urlencoded(stream, content_length)
    return Form({})


def _read_urlencoded(stream: IO[bytes], content_length: int | None) -> Form:
    limit = MAX_TEXT_BYTES if content_length is None else min(content_length, MAX_TEXT_BYTES)
    # A body over the limit is a photo in the wrong encoding; what the fields say hardly matters.
    text = stream.read(limit).decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARTS)
    except ValueError as error:
        raise MalformedForm("Too many fields") from error
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    sent_as_text = fields.pop("image", None) is not None
    return Form(fields, image_sent_as_text=sent_as_text)


def _read_multipart(stream: IO[bytes], boundary: bytes, content_length: int | None) -> Form:
    if content_length == 0:
        return Form({})
    source = _seekable(stream, content_length)
    try:
        return _collect(source, _parts(source, boundary, content_length))
    except MultipartError as error:
        raise MalformedForm(str(error)) from error


def _seekable(stream: IO[bytes], content_length: int | None) -> IO[bytes]:
    """Return a stream with random access: our server's is one, Django's test client's is copied."""
    if stream.seekable():
        return stream
    return io.BytesIO(stream.read() if content_length is None else stream.read(content_length))


@dataclass(slots=True)
class _Part:
    """One part while it is read: its headers, where its payload begins, and the text so far."""

    segment: MultipartSegment
    offset: int
    name: str
    filename: str | None
    text: bytearray = field(default_factory=bytearray)

    @property
    def keeps_text(self) -> bool:
        return self.name != "image" and self.filename is None


def _collect(source: IO[bytes], parts: Iterator[_Part]) -> Form:
    fields: dict[str, str] = {}
    image: Upload | None = None
    sent_as_text = False
    text_bytes = 0
    for part in parts:
        name, filename = part.name, part.filename
        if name == "image" and filename is None:
            sent_as_text = True
        elif name == "image" and image is None:
            image = Upload(filename or "", part.segment.size, source, part.offset)
        elif filename is None:
            text_bytes += len(part.text)
            fields.setdefault(name, part.text.decode("utf-8", "replace"))
        if text_bytes > MAX_TEXT_BYTES:
            raise MalformedForm("Too much text")
    return Form(fields, image, sent_as_text)


def _parts(source: IO[bytes], boundary: bytes, content_length: int | None) -> Iterator[_Part]:
    """Yield each part when it is complete.

    The parser says what a part is, but not where it lies. So it gets the body cut exactly behind
    each header block: when it announces a part, that part's payload begins with the next byte.
    """
    parser = PushMultipartParser(
        boundary,
        max_header_size=MAX_PART_HEADER_BYTES,
        max_header_count=MAX_PART_HEADERS,
        max_segment_count=MAX_PARTS,
        # Decodes whatever bytes there are; _utf8() turns names into what they were meant to be.
        header_charset="latin-1",
    )
    cutter = _Cutter(source, boundary, content_length)
    if not cutter.skip_preamble():
        if cutter.offset == cutter.start:
            return  # an empty body is an empty form
        raise MalformedForm("No boundary in the body")
    part: _Part | None = None
    while not (parser.closed or cutter.complete):
        piece = cutter.next_piece(in_payload=part is not None)
        # An empty piece is the end: parse() then closes the parser, and raises when parts miss.
        for event in parser.parse(piece):
            if isinstance(event, MultipartSegment):
                part = _Part(event, cutter.offset, _utf8(event.name or ""), _filename(event))
            elif part is None:
                continue
            elif event is None:
                yield part
                part = None
            elif part.keeps_text and len(part.text) < MAX_FIELD_BYTES:
                part.text += event[: MAX_FIELD_BYTES - len(part.text)]


class _Cutter:
    """Cut a body into pieces that end where a header block or a payload ends.

    Neither the text before the first delimiter nor what follows the last one is cut up: the parser
    would be called for each empty line in it.
    """

    def __init__(self, source: IO[bytes], boundary: bytes, content_length: int | None) -> None:
        self._source = source
        self._delimiter = b"\r\n--" + boundary
        self._left = content_length
        self._pending = b""
        self.start = source.tell()
        # Position in the source of the byte behind the last piece.
        self.offset = self.start
        # Whether the last piece ended with the delimiter that has two dashes behind it.
        self.complete = False

    def skip_preamble(self) -> bool:
        """Go to the first delimiter, whose line break is optional; return whether there is one."""
        self._pending = self._read()
        first = self._delimiter[2:]
        if not self._pending.startswith(first):
            if not self._skip_to(self._delimiter):
                return False
            self._take(2)
        if len(self._pending) < len(first) + 2:
            self._pending += self._read()
        self.complete = self._pending.startswith(first + b"--")
        return True

    def _skip_to(self, mark: bytes) -> bool:
        while (found := self._pending.find(mark)) < 0:
            self._take(max(0, len(self._pending) - len(mark) + 1))
            block = self._read()
            if not block:
                self._take(len(self._pending))
                return False
            self._pending += block
        self._take(found)
        return True

    def next_piece(self, *, in_payload: bool) -> bytes:
        """Return the next bytes, none at the end of the body."""
        mark = self._delimiter if in_payload else b"\r\n\r\n"
        # Behind the delimiter stand CRLF or two dashes that belong to it.
        tail = 2 if in_payload else 0
        while True:
            found = self._pending.find(mark)
            if found >= 0 and len(self._pending) >= found + len(mark) + tail:
                piece = self._take(found + len(mark) + tail)
                self.complete = in_payload and piece.endswith(b"--")
                return piece
            # Without the mark, all but what may be its beginning can go.
            end = found if found >= 0 else len(self._pending) - len(mark) + 1
            if end > 0:
                return self._take(end)
            block = self._read()
            if not block:
                return self._take(len(self._pending))
            self._pending += block

    def _take(self, size: int) -> bytes:
        piece, self._pending = self._pending[:size], self._pending[size:]
        self.offset += len(piece)
        return piece

    def _read(self) -> bytes:
        size = READ_BYTES if self._left is None else min(READ_BYTES, self._left)
        block = self._source.read(size)
        if self._left is not None:
            self._left -= len(block)
        return block


def _filename(segment: MultipartSegment) -> str | None:
    """Return the part's file name, "" when it is empty, None when it has no such parameter."""
    disposition = _QUOTED.sub('""', segment.header("Content-Disposition", ""))
    extended = _EXTENDED_FILENAME.search(disposition)
    if extended:
        charset, encoded = extended.groups()
        return _clean(_decode(unquote_to_bytes(encoded), charset))
    if segment.filename is None:
        return None
    return _clean(_utf8(segment.filename))


def _clean(filename: str) -> str:
    last = filename.replace("\\", "/").rpartition("/")[2]
    return _CONTROL.sub("", last).strip()[-MAX_FILENAME_CHARS:]


def _decode(raw: bytes, charset: str) -> str:
    # RFC 5987 knows two charsets; codecs.lookup() on a name from outside knows far more.
    return raw.decode("latin-1" if charset.lower() == "iso-8859-1" else "utf-8", "replace")


def _utf8(text: str) -> str:
    """Undo the parser's latin-1 decoding of a header."""
    return text.encode("latin-1", "replace").decode("utf-8", "replace")
