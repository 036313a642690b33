"""The documentation's page with a progress bar, as somebody would put it on a site of their own."""

from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, Route, expect

from openrembg.server.manual import examples
from services import Service

pytestmark = pytest.mark.browser

PLACE: Final = "somebodys-own-page"
KINDS: Final = {"progress.html": "text/html", "progress.js": "text/javascript"}
# Notes each sentence that the page shows, and each step of the bar.
WATCH: Final = """
() => {
  window.seen = [];
  const bar = document.querySelector("#progress");
  new MutationObserver(() => {
    window.seen.push([document.querySelector("#state").textContent, bar.position]);
  }).observe(document.body, { attributes: true, childList: true, subtree: true });
}
"""


def opened(page: Page, server: Service) -> Page:
    """Open the example's page at an address of the server's own."""

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        route.fulfill(body=examples.for_reader(name, server.url), content_type=KINDS[name])

    page.route(f"{server.url}/{PLACE}/*", answer)
    page.goto(f"{server.url}/{PLACE}/progress.html")
    page.evaluate(WATCH)
    return page


def send(page: Page, file: Path) -> None:
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Remove the background").click()


def test_a_picture_goes_up_is_computed_and_comes_down(
    page: Page, server: Service, complaints: list[str], tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(drawn())
    send(opened(page, server), photo)
    expect(page.get_by_role("status")).to_have_text("Done")
    page.wait_for_function("document.querySelector('#result').naturalWidth === 320")
    seen = page.evaluate("window.seen")
    stages = list(dict.fromkeys(words for words, _ in seen if words))
    assert stages == ["Sending", "Computing", "Receiving", "Done"]
    assert ["Computing", -1] in seen, "the bar has no value while the server computes"
    assert seen[-1] == ["Done", 1]
    assert complaints == []


def test_an_error_is_said(page: Page, server: Service, tmp_path: Path) -> None:
    broken = tmp_path / "photo.jpg"
    broken.write_bytes(b"no picture at all")
    send(opened(page, server), broken)
    expect(page.get_by_role("status")).to_have_text(
        "File does not appear to be a valid image (invalid file signature)"
    )


def drawn() -> bytes:
    """Return a photo of something in front of something else."""
    image = Image.new("RGB", (320, 240), (120, 150, 200))
    ImageDraw.Draw(image).ellipse((90, 30, 230, 210), fill=(200, 60, 30))
    file = BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()
