"""The form of POST /rmbg, as browsers, curl, requests and worse send it."""

import io
import os
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrembg.server.removal import form
from openrembg.server.removal.form import Form, MalformedForm, Upload, read_form

BOUNDARY = "----frontier7d1"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def part(disposition: str | bytes, payload: bytes, *headers: str) -> bytes:
    value = disposition.encode() if isinstance(disposition, str) else disposition
    lines = [b"Content-Disposition: form-data; " + value, *(header.encode() for header in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + payload


def body(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    line = b"--" + boundary.encode()
    return b"".join(line + b"\r\n" + each + b"\r\n" for each in parts) + line + b"--\r\n"


def read(data: bytes, content_type: str = CONTENT_TYPE) -> Form:
    return read_form(io.BytesIO(data), content_type, len(data))


def image_named(disposition: str | bytes) -> Upload:
    image = read(body(part(disposition, PNG))).image
    assert image is not None
    return image


def test_fields_and_image_are_read_in_any_order() -> None:
    photo = part('name="image"; filename="cat.png"', PNG, "Content-Type: image/png")
    width = part('name="w"', b"640")
    for parts in ((photo, width), (width, photo)):
        result = read(body(*parts))
        assert result.fields == {"w": "640"}
        assert result.image is not None
        assert (result.image.filename, result.image.size) == ("cat.png", len(PNG))
        assert result.image.read() == PNG


def test_image_is_read_again_and_again() -> None:
    image = image_named('name="image"; filename="cat.png"')
    assert image.read() == image.read() == PNG


def test_image_part_needs_no_content_type() -> None:
    assert image_named('name="image"; filename="cat.png"').read() == PNG


def test_the_first_of_a_field_sent_twice_counts() -> None:
    result = read(body(part('name="w"', b"1"), part('name="w"', b"2")))
    assert result.fields == {"w": "1"}


def test_the_first_of_two_images_counts() -> None:
    first = part('name="image"; filename="a.png"', b"first")
    second = part('name="image"; filename="b.png"', b"second!")
    image = read(body(first, second)).image
    assert image is not None
    assert (image.filename, image.read()) == ("a.png", b"first")


def test_empty_filename_is_a_file_part_without_a_name() -> None:
    result = read(body(part('name="image"; filename=""', b"")))
    assert result.image is not None
    assert (result.image.filename, result.image.size) == ("", 0)
    assert not result.image_sent_as_text


def test_image_without_a_filename_is_text() -> None:
    result = read(body(part('name="image"', PNG)))
    assert result == Form({}, None, image_sent_as_text=True)


def test_other_files_are_ignored() -> None:
    result = read(body(part('name="avatar"; filename="me.png"', PNG), part('name="w"', b"9")))
    assert result == Form({"w": "9"})


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (r'filename="C:\fakepath\x.jpg"', "x.jpg"),
        ('filename="/home/me/x.jpg"', "x.jpg"),
        ('filename="../../etc/passwd"', "passwd"),
        ("filename=x.jpg", "x.jpg"),
        (r'filename="say \"cheese\".jpg"', 'say "cheese".jpg'),
        ('filename="say %22cheese%22.jpg"', 'say "cheese".jpg'),
        ('filename="a;b.jpg"', "a;b.jpg"),
        ('filename="x\x00\x1b[2J.jpg"', "x[2J.jpg"),
        ('filename="naïve 日本.jpg"', "naïve 日本.jpg"),
        ("filename*=UTF-8''na%C3%AFve.jpg", "naïve.jpg"),
        ("filename*=iso-8859-1'en'na%EFve.jpg", "naïve.jpg"),
        ("filename=\"ascii.jpg\"; filename*=UTF-8''na%C3%AFve.jpg", "naïve.jpg"),
        ("filename=\"x; filename*=UTF-8''y.exe.jpg\"", "x; filename*=UTF-8''y.exe.jpg"),
        ('filename="x.jpg "', "x.jpg"),
        ('filename="/"', ""),
        (f'filename="{"x" * 1000}.jpg"', "x" * 251 + ".jpg"),
    ],
)
def test_filename_is_cleaned(parameter: str, expected: str) -> None:
    assert image_named(f'name="image"; {parameter}').filename == expected


def test_filename_that_is_not_utf8_still_has_its_extension() -> None:
    assert image_named(b'name="image"; filename="na\xefve.jpg"').filename == "na\ufffdve.jpg"


def test_field_that_is_not_utf8_is_decoded_with_replacement() -> None:
    assert read(body(part('name="bg_color"', b"\xff\xfered"))).fields == {
        "bg_color": "\ufffd\ufffdred"
    }


def test_payload_may_contain_almost_the_boundary() -> None:
    near = f"\r\n--{BOUNDARY[:-1]}".encode() * 5000 + b"\r\n--" + b"\r\n\r\n"
    image = read(body(part('name="image"; filename="x.png"', near))).image
    assert image is not None
    assert image.read() == near


def test_preamble_and_epilogue_are_ignored() -> None:
    data = b"Hello\r\n\r\nthere\r\n" + body(part('name="w"', b"7")) + b"bye\r\n\r\nbye"
    assert read(data).fields == {"w": "7"}


@pytest.mark.parametrize("line", [b"\r\n", b"\r\n\r\n", b"--" + BOUNDARY.encode() + b"x\r"])
def test_megabytes_of_lines_before_and_behind_take_no_time(line: bytes) -> None:
    # Cut up line by line, this takes minutes, which the test's own time limit ends.
    before = b"" if line.startswith(b"--") else line * (8 << 20)
    assert read(before + body(part('name="w"', b"7")) + line * (4 << 20)).fields == {"w": "7"}


def test_quotes_that_never_end_take_no_time() -> None:
    # Seconds for each part, when every quote is tried as the first.
    hostile = part('name="w"; x="' + r"\"" * 4000, b"7")
    assert read(body(*[hostile] * 300)).fields == {"w": "7"}


def test_a_delimiter_across_two_reads_is_found() -> None:
    for before in range(form.READ_BYTES - 30, form.READ_BYTES + 3):
        assert read(b"x" * before + b"\r\n" + body(part('name="w"', b"7"))).fields == {"w": "7"}


def test_last_delimiter_alone_is_an_empty_form() -> None:
    line = f"--{BOUNDARY}--".encode()
    for data in (line, line + b"\r\n", b"before\r\n" + line, line + b"\r\n" * 99 + body()):
        assert read(data) == Form({})


def test_long_text_is_cut() -> None:
    fields = read(body(part('name="w"', b"1" * 200_000))).fields
    assert fields == {"w": "1" * form.MAX_FIELD_BYTES}


def test_too_much_text_is_malformed() -> None:
    parts = [part(f'name="f{n}"', b"x" * form.MAX_FIELD_BYTES) for n in range(20)]
    with pytest.raises(MalformedForm):
        read(body(*parts))


def test_too_many_parts_are_malformed() -> None:
    assert len(read(body(*[part(f'name="{n}"', b"") for n in range(1000)])).fields) == 1000
    with pytest.raises(MalformedForm):
        read(body(*[part(f'name="{n}"', b"") for n in range(1001)]))


@pytest.mark.parametrize(
    "data",
    [
        body(part('name="image"; filename="x.png"', PNG))[:-8],
        body(part('name="image"; filename="x.png"', PNG))[:100],
        b"--" + BOUNDARY.encode() + b"\r\n",
        b"garbage",
        b"{}",
        body(b"Content-Disposition: attachment; name=x\r\n\r\n"),
        body(b"No-Disposition: 1\r\n\r\n"),
        body(part('name="w"', b"1", "X-Long: " + "x" * 10_000)),
        body(part('name="w"', b"1", *(f"X-{n}: 1" for n in range(20)))),
        body(part('name="w"', b"1"), boundary="another"),
    ],
)
def test_broken_multipart_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedForm):
        read(data)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary=""'],
)
def test_multipart_without_a_boundary_is_malformed(content_type: str) -> None:
    with pytest.raises(MalformedForm):
        read(body(part('name="w"', b"1")), content_type)


@pytest.mark.parametrize("content_type", [CONTENT_TYPE, "application/json", "", "nonsense"])
def test_empty_body_is_an_empty_form(content_type: str) -> None:
    assert read(b"", content_type) == Form({})
    assert read_form(io.BytesIO(b""), content_type, None) == Form({})


def test_urlencoded_fields_are_read_without_an_image() -> None:
    result = read(b"w=5&w=6&bg_color=%23fff&mask=", "application/x-www-form-urlencoded")
    assert result == Form({"w": "5", "bg_color": "#fff", "mask": ""})


def test_urlencoded_image_is_text() -> None:
    result = read(b"image=abc", "application/x-www-form-urlencoded; charset=utf-8")
    assert result == Form({}, image_sent_as_text=True)


def test_too_many_urlencoded_fields_are_malformed() -> None:
    with pytest.raises(MalformedForm):
        read(b"&".join([b"a=1"] * 1001), "application/x-www-form-urlencoded")


def test_other_content_type_gives_an_empty_form() -> None:
    assert read(PNG, "image/png") == Form({})


def test_nothing_beyond_the_content_length_is_read() -> None:
    data = body(part('name="w"', b"1"))
    stream = io.BytesIO(data + b"GET / HTTP/1.1\r\n")
    assert read_form(stream, CONTENT_TYPE, len(data)).fields == {"w": "1"}
    assert stream.tell() == len(data)


def test_form_may_begin_in_the_middle_of_a_stream() -> None:
    stream = io.BytesIO(b"before" + body(part('name="image"; filename="x.png"', PNG)))
    stream.seek(6)
    image = read_form(stream, CONTENT_TYPE, None).image
    assert image is not None
    assert image.read() == PNG


class OneWay(io.RawIOBase):
    """A stream that cannot seek, such as another server's wsgi.input."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


@pytest.mark.parametrize("knows_length", [True, False])
def test_stream_that_cannot_seek_is_read_too(knows_length: bool) -> None:
    data = body(part('name="image"; filename="x.png"', PNG), part('name="w"', b"1"))
    stream: Any = OneWay(data)
    result = read_form(stream, CONTENT_TYPE, len(data) if knows_length else None)
    assert result.image is not None
    assert result.image.read() == PNG


def test_large_image_does_not_pile_up_in_memory(tmp_path: Any) -> None:
    size = 60 * 1024 * 1024
    frame = body(part('name="image"; filename="x.png"', b"PAYLOAD"))
    before, after = frame.split(b"PAYLOAD")
    path = tmp_path / "body"
    with path.open("wb+") as stream:
        stream.write(before)
        stream.seek(size, os.SEEK_CUR)
        stream.write(after)
        stream.seek(0)
        tracemalloc.start()
        try:
            image = read_form(stream, CONTENT_TYPE, None).image
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert image is not None
    assert image.size == size
    assert peak < 4 * 1024 * 1024


PAYLOADS = st.one_of(
    st.binary(max_size=2000),
    st.lists(
        st.sampled_from([b"\r\n", b"--", BOUNDARY[:-1].encode(), b"\r", b"\n", b"x" * 500]),
        max_size=30,
    ).map(b"".join),
)
NAMES = st.sampled_from(["image", "w", "h", "mask", "format", "x"])


@given(
    st.lists(st.tuples(NAMES, st.booleans(), PAYLOADS), max_size=8), st.integers(1, 5000), st.data()
)
def test_any_mix_of_parts_is_read_as_it_was_sent(
    parts: list[tuple[str, bool, bytes]], read_bytes: int, data: st.DataObject
) -> None:
    sent = body(
        *(
            part(f'name="{name}"' + ('; filename="f.png"' if is_file else ""), payload)
            for name, is_file, payload in parts
        )
    )
    result = read(sent)
    texts: dict[str, str] = {}
    images = []
    for name, is_file, payload in parts:
        if name == "image" and is_file:
            images.append(payload)
        elif name != "image" and not is_file:
            texts.setdefault(name, payload.decode("utf-8", "replace"))
    assert result.fields == texts
    assert (result.image is not None) == bool(images)
    if result.image is not None:
        assert result.image.read() == images[0]
    assert result.image_sent_as_text == any(n == "image" and not f for n, f, _ in parts)


FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                f"--{BOUNDARY}".encode(),
                b"\r\n",
                b"\r\n\r\n",
                b"--",
                b"Content-Disposition: form-data; ",
                b'name="image"',
                b'; filename="x.png"',
                b"; filename*=UTF-8''%ff",
                b"Content-Length: 5",
                b" folded",
            ]
        ),
        st.binary(max_size=20),
    ),
    max_size=40,
).map(b"".join)
CONTENT_TYPES = st.one_of(
    st.sampled_from([CONTENT_TYPE, "application/x-www-form-urlencoded"]),
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.text(st.characters(max_codepoint=255), max_size=60).map(
        lambda text: "multipart/form-data; boundary=" + text
    ),
)


@given(st.one_of(FRAGMENTS, st.binary()), CONTENT_TYPES)
def test_arbitrary_bodies_raise_nothing_but_malformed_form(data: bytes, content_type: str) -> None:
    try:
        result = read(data, content_type)
    except MalformedForm:
        return
    assert result.image is None or result.image.read() in data


@given(
    st.lists(st.tuples(NAMES, PAYLOADS), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3)), min_size=1, max_size=4),
)
def test_a_form_with_changed_bytes_raises_nothing_but_malformed_form(
    parts: list[tuple[str, bytes]], changes: list[tuple[int, bytes]]
) -> None:
    data = body(*(part(f'name="{name}"; filename="f.png"', payload) for name, payload in parts))
    for place, change in changes:
        at = place % (len(data) + 1)
        data = data[:at] + change + data[at + 1 :]
    try:
        result = read(data)
    except MalformedForm:
        return
    assert result.image is None or result.image.read() in data
