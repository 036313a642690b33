"""The editor as a visitor uses it: photos of their own, the list of pictures, an account."""

import io
import json
import re
import struct
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Locator, Page, expect
from playwright.sync_api import Request as BrowserRequest

from services import Service, openrembg_admin

PASSWORD: Final = "three blind mice run"
DONE_MS: Final = 60_000
MIB: Final = 1024 * 1024

Asked = list[BrowserRequest]


def file_of(image: Image.Image, format_: str) -> bytes:
    file = io.BytesIO()
    image.save(file, format_)
    return file.getvalue()


def picture(
    format_: str = "JPEG", width: int = 320, height: int = 240, *, green: int = 130
) -> bytes:
    """Return a photo with a red oval, which the model takes for its subject."""
    image = Image.new("RGB", (width, height), (90, green, 160))
    box = (width // 4, height // 5, width * 3 // 4, height * 4 // 5)
    ImageDraw.Draw(image).ellipse(box, (200, 40, 30))
    return file_of(image, format_)


def grain() -> bytes:
    """Return a picture that no format makes small."""
    return file_of(Image.effect_noise((250, 200), 90), "PNG")


def nothing_at_all() -> bytes:
    """Return a picture without a subject: every pixel is transparent already."""
    return file_of(Image.new("RGBA", (320, 240), (200, 60, 30, 0)), "PNG")


def wide_png(width: int) -> bytes:
    """Return a PNG that says it is that wide."""
    data = bytearray(picture("PNG"))
    data[16:20] = struct.pack(">I", width)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def payload(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def photos(count: int) -> list[FilePayload]:
    """Return photos that differ: the same one is not paid twice."""
    numbers = range(1, count + 1)
    return [payload(f"photo {number}.jpg", picture(green=130 + number)) for number in numbers]


def cuts(asked: Asked) -> list[BrowserRequest]:
    """Return the calls of /rmbg."""
    return [request for request in asked if request.url.endswith("/rmbg")]


def add(page: Page, *files: FilePayload) -> None:
    page.locator("#files").set_input_files(list(files))


def in_state(page: Page, state: str) -> Locator:
    return page.locator(f".picture[data-state={state}]")


def finish(page: Page, count: int) -> None:
    """Wait until so many pictures are done."""
    expect(in_state(page, "done")).to_have_count(count, timeout=DONE_MS)


def said(page: Page, name: str) -> str:
    """Return what stands beside a picture's name."""
    line = page.locator(".picture", has=page.locator(".name", has_text=name))
    return line.locator(".state").inner_text()


def folder_of(server: Service) -> dict[str, str]:
    return {"OPENREMBG_DATA_DIR": str(Path(server.log).parent / "data")}


def log_in(page: Page, server: Service, email: str, *, credits_: int | None = None) -> None:
    """Sign in as a user who was just made, and open the editor.

    credits_: of a plan of their own; None: they are on Free.
    """
    make_user(server, email, credits_)
    page.goto(f"{server.url}/en/account/login/")
    page.locator("#id_login").fill(email)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/en/account/")
    page.goto(f"{server.url}/en/")


def make_user(server: Service, email: str, credits_: int | None = None) -> None:
    folder, words = folder_of(server), ["create-user", email, "--password", PASSWORD, "--verified"]
    if credits_ is not None:
        openrembg_admin(folder, "plan", f"plan of {email}", "--credits", str(credits_))
        words += ["--plan", f"plan of {email}"]
    openrembg_admin(folder, *words)


def sign_in_elsewhere(page: Page, server: Service, email: str) -> None:
    """Sign in as in another tab: the page itself hears nothing of it."""
    tab, address = page.context.request, f"{server.url}/en/account/login/"
    found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', tab.get(address).text())
    assert found is not None
    form = {"csrfmiddlewaretoken": found[1], "login": email, "password": PASSWORD}
    answer = tab.post(address, form=form, headers={"Referer": address})
    assert answer.url.endswith("/en/account/")


def app_usage(server: Service, email: str) -> int:
    """Return the credits that the web editor has used of a user's."""
    key = openrembg_admin(folder_of(server), "create-key", email)
    request = urllib.request.Request(
        f"{server.url}/api/membership-usage", headers={"X-Api-Key": key}
    )
    with urllib.request.urlopen(request) as answer:
        return int(json.load(answer)["app_usage"])


def status_of(server: Service, method: str, path: str, authorization: str) -> int:
    """Return the status of a request with a user token and nothing else."""
    headers = {"Authorization": authorization}
    request = urllib.request.Request(server.url + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def opened(page: Page, server: Service, language: str = "en") -> None:
    page.goto(f"{server.url}/{language}/")


def cut_elsewhere(server: Service) -> None:
    """Send a picture from the same address, past the browser."""
    boundary = "a-boundary"
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="image"; filename="picture.jpg"\r\n\r\n'
    )
    body = head.encode() + picture() + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(f"{server.url}/rmbg", data=body, headers=headers)
    urllib.request.urlopen(request).close()
