"""Malformed images: 400 each, no memory jump, and a server that works on afterwards."""

from concurrent.futures import ThreadPoolExecutor

import hostile
import pytest

from forms import Answer, field, photo, post
from pictures import picture
from services import Service

pytestmark = pytest.mark.wire

MIB = 1024 * 1024
# What one request may add: the spool's and the codecs' buffers, far below a decoded giant.
JUMP_BYTES = 160 * MIB
# A canvas of an allowed size may be made before it turns out that nothing is drawn on it; many at
# once are to take no more than one, because those over the pixel budget go alone.
CANVAS_BYTES = 450 * MIB
# 100 megapixels of colour and alpha, on their way from one step to the next.
LARGEST_BYTES = 1600 * MIB

REFUSED = dict(hostile.refused())


def works(server: Service) -> bool:
    """Return whether the server still makes a cut-out."""
    return post(server, photo(picture())).status == 200


def post_watched(server: Service, data: bytes, name: str) -> tuple[Answer, int]:
    """Return the answer and by how many bytes the server's memory grew at most meanwhile."""
    server.forget_peak()
    before = server.resident_bytes
    answer = post(server, photo(data, name))
    return answer, server.peak_bytes - before


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_file_is_refused_without_a_memory_jump(server: Service, name: str) -> None:
    assert works(server)
    answer, growth = post_watched(server, REFUSED[name], name)
    assert answer.status == 400, answer.body[:300]
    assert "image" in answer.json.get("field", "") or answer.json["details"]
    most = CANVAS_BYTES if name.startswith("hollow") else JUMP_BYTES
    assert growth < most, f"{growth / MIB:.0f} MiB"
    assert works(server)


def test_a_picture_with_a_zip_behind_it_is_a_picture_without_it(server: Service) -> None:
    archive = b"PK\x03\x04" + b"payload" * 100 + b"PK\x05\x06" + bytes(18)
    answer = post(server, photo(picture("JPEG") + archive, "both.jpg"), field("format", "png"))
    assert answer.status == 200
    assert b"payload" not in answer.body


def test_a_comment_with_a_script_does_not_come_back(server: Service) -> None:
    jpeg = picture("JPEG")
    script = b"<script>alert(1)</script>"
    comment = b"\xff\xfe" + (len(script) + 2).to_bytes(2, "big") + script
    answer = post(server, photo(jpeg[:2] + comment + jpeg[2:], "a.jpg"), field("format", "jpeg"))
    assert answer.status == 200
    assert script not in answer.body


def test_more_data_than_pixels_is_not_unpacked(server: Service) -> None:
    answer, growth = post_watched(server, hostile.png_overfull(), "overfull.png")
    assert answer.status in (200, 400)
    assert growth < JUMP_BYTES, f"{growth / MIB:.0f} MiB"


def test_the_largest_picture_allowed_stays_within_its_budget(server: Service) -> None:
    server.forget_peak()
    before = server.resident_bytes
    answer = post(server, photo(hostile.png_bomb(), "bomb.png"), field("format", "png"))
    assert (answer.status, answer.headers["X-Width"]) == (200, "10000")
    growth = server.peak_bytes - before
    assert growth < LARGEST_BYTES, f"{growth / MIB:.0f} MiB"


def test_small_files_that_unfold_are_refused_many_at_once(server: Service) -> None:
    giants = [REFUSED[f"hollow-10000x10000.{kind}"] for kind in ("png", "bmp", "jpg", "webp")] * 4
    server.forget_peak()
    before = server.resident_bytes
    with ThreadPoolExecutor(len(giants)) as clients:
        answers = list(clients.map(lambda data: post(server, photo(data, "a.png")), giants))
    assert {answer.status for answer in answers} == {400}
    assert server.peak_bytes - before < CANVAS_BYTES
    assert works(server)
