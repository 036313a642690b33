"""Forms and frames as an attacker writes them, and what may be answered.

Each entry is a name, the bytes of a connection, and the statuses that its answers may have, in
order; an empty entry allows the server to hang up.
"""

from collections.abc import Iterator
from typing import Final

from raw_requests import BOUNDARY, FORM, MIB, chunked, form, part, request

from pictures import picture

Case = tuple[str, bytes, tuple[tuple[int, ...], ...]]

TAKEN: Final = ((200,),)
REFUSED: Final = ((400,),)
TAKEN_OR_REFUSED: Final = ((200, 400),)
IMAGE: Final = b'; name="image"; filename="a.png"'


def photo(disposition: bytes = IMAGE) -> bytes:
    """Return the image's part."""
    return part(disposition, picture("PNG"))


def text(name: bytes, value: bytes) -> bytes:
    """Return a field's part."""
    return part(b'; name="' + name + b'"', value)


def cases() -> Iterator[Case]:
    """Yield every case."""
    yield from _boundaries()
    yield from _parts()
    yield from _names()
    yield from _lengths()
    yield from _chunks()
    yield from _heads()


def _boundaries() -> Iterator[Case]:
    whole = form(photo())
    for name, kind in {
        "no boundary": b"multipart/form-data",
        "empty boundary": b"multipart/form-data; boundary=",
        "wrong boundary": b"multipart/form-data; boundary=other",
        "boundary of quotes": b'multipart/form-data; boundary="' + b'\\"' * 2000,
        "boundary with a NUL": b"multipart/form-data; boundary=a\0b",
        "boundary of bytes that are no text": b"multipart/form-data; boundary=\xff\xfe",
    }.items():
        yield name, request(whole, content_type=kind), REFUSED
    yield "two boundaries", request(whole, content_type=FORM + b"; boundary=x"), TAKEN_OR_REFUSED
    for size in (70, 71, 10_000):
        long = b"b" * size
        body = form(photo(), boundary=long)
        kind = b"multipart/form-data; boundary=" + long
        yield f"boundary of {size} characters", request(body, content_type=kind), TAKEN_OR_REFUSED
    near = b"\r\n--" + BOUNDARY[:-1]
    body = form(photo(), text(b"x", near * 10_000))
    yield "almost the boundary, often", request(body), TAKEN
    inner = b"Content-Type: multipart/mixed; boundary=inner"
    nested = part(b'; name="image"', form(photo(), boundary=b"inner"), inner)
    yield "nested multipart", request(form(nested)), REFUSED


def _parts() -> Iterator[Case]:
    yield "10000 parts", request(form(photo(), *[text(b"x", b"1")] * 10_000)), REFUSED
    yield "the same field 900 times", request(form(photo(), *[text(b"w", b"9")] * 900)), TAKEN
    headers = [b"X-%d: 1" % number for number in range(10_000)]
    yield "10000 headers in a part", request(form(part(IMAGE, b"", *headers))), REFUSED
    yield "giant header in a part", request(form(part(IMAGE, b"", b"X: " + b"x" * MIB))), REFUSED
    yield "part without headers", request(form(b"\r\nbody")), REFUSED
    yield "header that never ends", request(b"--" + BOUNDARY + b"\r\n" + b"X" * MIB), REFUSED
    yield "no last boundary", request(form(photo())[: -len(BOUNDARY) - 6]), REFUSED
    yield "boundary alone", request(b"--" + BOUNDARY), REFUSED
    yield "last boundary alone", request(b"--" + BOUNDARY + b"--"), REFUSED
    yield "two images", request(form(photo(), photo())), TAKEN
    yield "fields behind the image", request(form(photo(), text(b"w", b"9"))), TAKEN
    yield "no name", request(form(part(b"", b"1"), photo())), TAKEN_OR_REFUSED
    yield "an empty name", request(form(text(b"", b"1"), photo())), TAKEN
    lines = b"\r\n\r\n" * (MIB // 2)
    yield "megabytes of lines before", request(lines + form(photo())), TAKEN
    yield "megabytes of lines behind", request(form(photo()) + lines), TAKEN
    yield "a megabyte of text", request(form(photo(), text(b"w", b"1" * MIB))), REFUSED
    texts = [text(b"%d" % number, b"1" * MIB) for number in range(20)]
    yield "megabytes of text", request(form(photo(), *texts)), REFUSED
    quotes = [part(b'; name="w"; x="' + b'\\"' * 4000, b"1")] * 900
    yield "quotes that never end", request(form(*quotes)), REFUSED


def _names() -> Iterator[Case]:
    yield "path upwards", request(form(photo(IMAGE.replace(b"a.png", b"../../etc/passwd")))), TAKEN
    for name, filename in {
        "path of Windows": rb'"C:\Windows\a.png"',
        "share of Windows": rb'"\\host\share\a.png"',
        "NUL": b'"a\0.png"',
        "line break": b'"a%0D%0AX-Evil: 1.png"',
        "escaped quotes": rb'"a\"; name=\"w\"; x=\".png"',
        "nested quotes": b'"a"b".png"',
        "no quotes": b"a.png",
        "half a quote": b'"a.png',
        "latin-1": b'"na\xefve.png"',
        "UTF-8": '"猫.png"'.encode(),
        "no text": b'"\xff\xfe\x80.png"',
        "very long": b'"' + b"a" * 7000 + b'.png"',
        "dots": b'"..."',
        "spaces": b'"   "',
        "script": b'"<script>alert(1)</script>.png"',
        "template": b'"{{7*7}}%s%n$(id).png"',
    }.items():
        disposition = b'; name="image"; filename=' + filename
        yield f"name: {name}", request(form(photo(disposition))), TAKEN_OR_REFUSED
    for name, value in {
        "UTF-8": b"UTF-8''na%C3%AFve.png",
        "unknown charset": b"rot13''a.png",
        "broken escapes": b"UTF-8''%zz%f.png",
        "no quotes": b"a.png",
        "a NUL": b"UTF-8''a%00.png",
        "a line break": b"UTF-8''a%0D%0AX: 1.png",
        "upwards": b"UTF-8''..%2F..%2Fetc%2Fpasswd",
    }.items():
        extended = b'; name="image"; filename="a.png"; filename*=' + value
        yield f"name in RFC 5987: {name}", request(form(photo(extended))), TAKEN_OR_REFUSED
    continued = b'; name="image"; filename*0="a."; filename*1="png"'
    yield "name in RFC 2231 pieces", request(form(photo(continued))), TAKEN_OR_REFUSED
    folded = b'; name="image";\r\n filename="a.png"'
    yield "folded disposition", request(form(photo(folded))), TAKEN_OR_REFUSED
    bare = photo().replace(b"\r\n", b"\n", 1)
    yield "bare line feed", request(form(bare)), REFUSED


def _lengths() -> Iterator[Case]:
    whole = form(photo())
    say = str(len(whole)).encode()
    yield "no length", request(whole, length=b""), ((400,), ())
    yield "length too large", request(whole, length=b"%d" % (len(whole) + 1000)), ((),)
    yield "length too small", request(whole, length=b"100"), ((400,), ())
    for name, length in {
        "negative": b"-1",
        "signed": b"+" + say,
        "hexadecimal": b"0x" + say,
        "two in one": say + b", " + say,
        "no number": b"many",
        "spaced": say[:1] + b" " + say[1:],
        "endless": b"9" * 5000,
        "other digits": "１２".encode(),
    }.items():
        yield f"length: {name}", request(whole, length=length), REFUSED
    huge = request(whole, length=b"9" * 18)
    yield "length of an exabyte", huge, REFUSED
    yield "two lengths", request(whole, b"Content-Length: 5"), REFUSED
    both = request(chunked(whole), b"Transfer-Encoding: chunked")
    yield "length and chunks", both, REFUSED


def _chunks() -> Iterator[Case]:
    whole = form(photo())
    te = b"Transfer-Encoding: chunked"
    yield "chunks", request(chunked(whole[:100], whole[100:]), te, length=b""), TAKEN
    extended = b'%x;a=b;c="d"\r\n%s\r\n0;x\r\n\r\n' % (len(whole), whole)
    yield "chunk extensions", request(extended, te, length=b""), TAKEN_OR_REFUSED
    trailed = chunked(whole)[:-2] + b"X-Evil: 1\r\nContent-Length: 5\r\n\r\n"
    yield "trailers", request(trailed, te, length=b""), TAKEN_OR_REFUSED
    for name, line in {
        "negative": b"-5",
        "endless": b"f" * 20_000,
        "no number": b"xyz",
        "prefixed": b"0x5",
        "underscore": b"1_0",
        "empty": b"",
    }.items():
        yield (
            f"chunk size: {name}",
            request(line + b"\r\nhello\r\n0\r\n\r\n", te, length=b""),
            REFUSED,
        )
    small = b"5\r\nhello world\r\n0\r\n\r\n"
    yield "chunk larger than it says", request(small, te, length=b""), REFUSED
    # What is not sent is waited for, until the client's time is up.
    yield "chunk of an exabyte", request(b"f" * 15 + b"\r\nhello", te, length=b""), ((),)
    yield "chunk smaller than it says", request(b"fffff\r\nhello", te, length=b""), ((),)
    for name, value in {
        "twice": b"chunked, chunked",
        "gzip": b"gzip, chunked",
        "identity": b"identity",
        "disguised": b"\x0bchunked",
        "unknown": b"xchunked",
    }.items():
        body = request(chunked(whole), b"Transfer-Encoding: " + value, length=b"")
        yield f"encoding: {name}", body, ((400, 501),)


def _heads() -> Iterator[Case]:
    get = {"method": b"GET", "content_type": b"", "length": b""}
    for name, line in {
        "host of spaces": b"Host: a b",
        "host with a path": b"Host: evil/../x",
        "host of an address": b"Host: [::1",
        "cookies without end": b"Cookie: " + b"a=b; " * 5000,
        "cookie of bytes": b"Cookie: sessionid=\xff\xfe\0",
        "session of a path": b"Cookie: sessionid=../../etc/passwd; csrftoken=" + b"x" * 4000,
        "languages without end": b"Accept-Language: " + b"de-de-de;q=0.1," * 1900,
        "language of nonsense": b"Accept-Language: ;;q=,,\xff;q=1e999",
        "encoding of nonsense": b"Accept-Encoding: gzip;q=nan, br;q=-1, *;q=9",
        "range": b"Range: bytes=0-,1-,2-," + b"0-9," * 500,
        "date of nonsense": b"If-Modified-Since: 32 Foo -1 99:99",
        "forwarded": b"X-Forwarded-For: " + b"1.2.3.4, " * 3000,
    }.items():
        for path in (b"/en/", b"/api/membership-usage"):
            fine = ((200, 206, 302, 304, 400, 401, 416, 431),)
            yield f"{path.decode()} {name}", request(b"", line, path=path, **get), fine
    for name, path in {
        "NUL": b"/en/%00",
        "bytes": b"/en/\xff\xfe",
        "upwards": b"/static/../../../../etc/passwd",
        "upwards, escaped": b"/static/%2e%2e/%2e%2e/etc/passwd",
        "broken escape": b"/en/%zz%",
        "numbers without end": b"/api/membership-usage?year=" + b"9" * 5000,
        "a thousand parameters": b"/api/membership-usage?" + b"a=1&" * 3000,
        "brackets": b"//[",
        "another host": b"http://evil.example/en/",
    }.items():
        fine = ((200, 301, 302, 400, 401, 404),)
        yield f"path: {name}", request(b"", path=path, **get), fine
    good, bad = request(form(photo())), b"GARBAGE\r\n\r\n"
    yield "garbage behind a good request", good + bad, ((200,), (400,))
    yield "good behind garbage", bad + good, REFUSED
    refused = request(form(photo()), b"Transfer-Encoding: chunked")
    yield "smuggling behind a good request", good + refused + good, ((200,), (400,))
    line = b"Expect: 100-continue"
    yield "100-continue", request(form(photo()), line), TAKEN
    yield "another expectation", request(form(photo()), b"Expect: 999-magic"), ((200, 417),)
    yield "folded header", request(form(photo()), b"X-A: 1\r\n folded"), REFUSED
    yield "header without colon", request(form(photo()), b"nonsense"), REFUSED
    yield "header with a space", request(form(photo()), b"X-A : 1"), REFUSED
    yield "header of 40 kB", request(form(photo()), b"X-A: " + b"a" * 40_000), ((400, 431),)
    yield "HTTP/9.9", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", ((200, 302, 400, 505),)
    yield "no request", b"\r\n\r\n\r\n", ((),)
