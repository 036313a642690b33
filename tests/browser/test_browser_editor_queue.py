"""The editor in a real browser: how pictures come in, are cut out once each, and what is said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from editor_visits import (
    DONE_MS,
    MIB,
    Asked,
    add,
    cuts,
    finish,
    in_state,
    nothing_at_all,
    opened,
    payload,
    photos,
    picture,
    said,
    wide_png,
)
from playwright.sync_api import Browser, Page, Route, expect

from services import Service, program

pytestmark = pytest.mark.browser

CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A Chromium that shows a camera of its own, and asks nobody whether it may.
CAMERA: Final = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture
def asked(page: Page) -> Iterator[Asked]:
    """Every request of the page; none may leave the host of the first one."""
    requests: Asked = []
    page.on("request", lambda request: requests.append(request))
    yield requests
    hosts = {request.url.split("/")[2] for request in requests if request.url.startswith("http")}
    assert len(hosts) <= 1


# Many pictures, and those that cannot be cut out.


def test_of_twenty_photos_at_once_one_fails_and_nineteen_are_cut_out(
    page: Page, server: Service, asked: Asked, complaints: list[str]
) -> None:
    opened(page, server)
    text = payload("letter.jpg", b"Dear Sir or Madam")
    add(page, *photos(9), text, *photos(10))
    expect(page.locator(".picture")).to_have_count(20)
    finish(page, 19)
    expect(in_state(page, "failed")).to_have_count(1)
    assert said(page, "letter.jpg") == "This file is not a PNG, JPEG, WebP or BMP picture."
    expect(page.locator("#count")).to_have_text("Done: 19 of 20. Not done: 1.")
    expect(page.locator("#said")).to_have_text(
        "letter.jpg: This file is not a PNG, JPEG, WebP or BMP picture."
    )
    assert len(cuts(asked)) == 19
    expect(page.locator(".open[aria-current=true]")).to_have_count(1)
    expect(page.locator("#download-one")).to_be_enabled()
    expect(page.locator("#download-all")).to_be_visible()
    assert complaints == []


def test_each_format_is_taken_whatever_its_name(page: Page, server: Service) -> None:
    opened(page, server)
    formats = ("PNG", "JPEG", "WEBP", "BMP")
    add(page, *(payload(f"a {format_}.tmp", picture(format_)) for format_ in formats))
    finish(page, 4)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "This file is empty."),
        (b"GIF89a" + bytes(20), "This file is not a PNG, JPEG, WebP or BMP picture."),
        (
            b"\0\0\0\x18ftypheic" + bytes(20),
            "HEIC pictures cannot be opened here. Save it as JPEG and add it again.",
        ),
        (
            b"\xff\xd8\xff" + bytes(int(50.5 * MIB)),
            "This file has 50.5 MB. A picture may have 50 MB at most.",
        ),
    ],
    ids=["empty", "gif", "heic", "large"],
)
def test_what_cannot_be_a_picture_is_told_before_it_is_uploaded(
    page: Page, server: Service, asked: Asked, tmp_path: Path, data: bytes, sentence: str
) -> None:
    opened(page, server)
    file = tmp_path / "picture.jpg"
    file.write_bytes(data)
    page.locator("#files").set_input_files(file)
    expect(in_state(page, "failed").locator(".state")).to_have_text(sentence)
    expect(page.locator(".again")).to_be_hidden()
    assert cuts(asked) == []


@pytest.mark.parametrize(
    ("data", "sentence", "english"),
    [
        (
            picture()[:900],
            "This picture is damaged and cannot be opened.",
            "File does not appear to be a valid image (invalid file signature)",
        ),
        (
            wide_png(12_000),
            "This picture is too large. Each side may have 10,000 pixels at most.",
            "Image width (12000px) exceeds the maximum allowed width of 10000px.",
        ),
    ],
    ids=["damaged", "wide"],
)
def test_what_the_server_refuses_is_told_once_in_each_language(
    page: Page, server: Service, data: bytes, sentence: str, english: str
) -> None:
    opened(page, server)
    add(page, payload("bad.png", data), *photos(1))
    finish(page, 1)
    line = in_state(page, "failed")
    expect(line.locator(".state")).to_have_text(sentence)
    expect(line.locator(".english")).to_be_hidden()
    opened(page, server, "fa")
    add(page, payload("bad.png", data))
    expect(line.locator(".english")).to_have_text(english)
    assert line.locator(".english").get_attribute("lang") == "en"


def test_a_picture_without_a_subject_is_free(page: Page, server: Service) -> None:
    opened(page, server)
    add(page, payload("glass.png", nothing_at_all()))
    finish(page, 1)
    assert said(page, "glass.png") == "Nothing was found, so it is free."


def test_a_picture_that_is_removed_on_its_way_costs_nothing(page: Page, server: Service) -> None:
    opened(page, server)
    held: list[Route] = []
    page.route("**/rmbg", lambda route: held.append(route), times=1)
    add(page, *photos(3))
    finish(page, 2)
    page.get_by_role("button", name="Remove photo 1.jpg").click()
    expect(page.locator(".picture")).to_have_count(2)
    expect(page.locator("#count")).to_have_text("Done: 2 of 2")
    assert len(held) == 1


def test_pictures_can_be_added_while_others_are_on_their_way(page: Page, server: Service) -> None:
    opened(page, server)
    add(page, *photos(2))
    add(page, payload("late.jpg", picture()))
    finish(page, 3)
    names = page.locator(".picture .name").all_inner_texts()
    assert names == ["photo 1.jpg", "photo 2.jpg", "late.jpg"]


def test_the_first_of_the_list_opens_first(page: Page, server: Service) -> None:
    opened(page, server)
    held: list[Route] = []
    page.route("**/rmbg", lambda route: held.append(route), times=1)
    add(page, payload("letter.jpg", b"Dear"), *photos(2))
    finish(page, 1)
    current = page.locator(".picture:has([aria-current]) .name")
    expect(current).to_have_count(0)
    held[0].continue_()
    expect(current).to_have_text("photo 1.jpg", timeout=DONE_MS)


# How pictures go.


def test_after_the_last_picture_it_begins_anew(page: Page, server: Service) -> None:
    opened(page, server)
    add(page, *photos(1))
    finish(page, 1)
    page.get_by_role("button", name="Remove photo 1.jpg").click()
    choose = page.get_by_role("button", name="Choose pictures")
    expect(choose).to_be_focused()
    expect(page.locator("#download-one")).to_be_hidden()
    add(page, *photos(2))
    finish(page, 2)
    expect(page.locator("#count")).to_have_text("Done: 2 of 2")
    expect(choose).to_be_hidden()


def test_all_are_removed_after_a_question(page: Page, server: Service) -> None:
    opened(page, server)
    add(page, *photos(3))
    finish(page, 3)
    page.get_by_role("button", name="Remove all").click()
    question = page.get_by_role("dialog", name="Remove all pictures?")
    expect(question).to_contain_text("Those that you have not downloaded are lost.")
    question.get_by_role("button", name="Keep them").click()
    expect(page.locator(".picture")).to_have_count(3)
    page.get_by_role("button", name="Remove all").click()
    question.get_by_role("button", name="Remove all").click()
    expect(page.locator(".picture")).to_have_count(0)
    expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()


def test_what_was_downloaded_is_removed_without_a_question(page: Page, server: Service) -> None:
    opened(page, server)
    add(page, *photos(2))
    finish(page, 2)
    with page.expect_download():
        page.get_by_role("button", name="Download all as ZIP").click()
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator(".picture")).to_have_count(0)


# How pictures come in.


def test_the_keyboard_is_enough(page: Page, server: Service) -> None:
    # Whoever listens only when the key is pressed may be too late for the dialogue.
    page.on("filechooser", lambda _: None)
    opened(page, server)
    choose = page.get_by_role("button", name="Choose pictures")
    for _ in range(20):
        page.keyboard.press("Tab")
        if choose.evaluate("button => button === document.activeElement"):
            break
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(photos(2))
    finish(page, 2)
    expect(page.locator("#tray-title")).to_be_focused()
    page.locator(".picture .open").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".picture .open").last).to_have_attribute("aria-current", "true")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".picture")).to_have_count(1)
    expect(page.get_by_role("button", name="Remove photo 1.jpg")).to_be_focused()
    expect(page.locator(".picture .open")).to_have_attribute("aria-current", "true")


def test_pictures_are_pasted(page: Page, server: Service) -> None:
    opened(page, server)
    page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "image.jpg"));
            const event = new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
            document.body.dispatchEvent(event);
        }""",
        list(picture()),
    )
    finish(page, 1)


def test_files_and_folders_are_dropped_anywhere(
    page: Page, server: Service, tmp_path: Path
) -> None:
    folder = tmp_path / "holidays" / "beach"
    folder.mkdir(parents=True)
    names = ["photo 1.jpg", "photo 9.jpg", "photo 10.jpg", "photo 11.jpg"]
    places = (folder, tmp_path, folder.parent, folder)
    for place, name in zip(places, names, strict=True):
        (place / name).write_bytes(picture())
    (folder / "diary.txt").write_text("It rained.")
    (folder.parent / "sea.heic").write_bytes(b"Waves")
    (folder / ".DS_Store").write_bytes(b"Where the windows were")
    opened(page, server)
    drop(page, tmp_path / "photo 9.jpg", folder.parent)
    finish(page, 4)
    assert page.locator(".picture .name").all_inner_texts() == names
    expect(page.locator("#taken")).to_have_text(
        "Left out, because they are not PNG, JPEG, WebP or BMP: 2"
    )


def test_a_folder_without_pictures_is_told(page: Page, server: Service, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    opened(page, server)
    drop(page, tmp_path / "empty")
    sentence = "No PNG, JPEG, WebP or BMP picture was found in the folder."
    expect(page.locator("#taken")).to_have_text(sentence)
    expect(page.locator("#said")).to_have_text(sentence)
    add(page, *photos(1))
    expect(page.locator("#taken")).to_be_hidden()


def drop(page: Page, *paths: Path) -> None:
    hand = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        hand.send("Input.dispatchDragEvent", {"type": kind, "x": 40, "y": 600, "data": data})
    expect(page.locator("#over")).to_be_visible()
    hand.send("Input.dispatchDragEvent", {"type": "drop", "x": 40, "y": 600, "data": data})
    expect(page.locator("#over")).to_be_hidden()


@pytest.fixture
def page_with_camera(browser: Browser) -> Iterator[Page]:
    """A page in a browser that has a camera."""
    args = ["--no-sandbox", "--disable-gpu", *CAMERA]
    other = browser.browser_type.launch(executable_path=program(*CHROMIUM), args=args)
    yield other.new_page()
    other.close()


def test_a_photo_is_taken_with_the_camera(page_with_camera: Page, server: Service) -> None:
    page = page_with_camera
    opened(page, server)
    page.get_by_role("button", name="Take a photo").click()
    page.get_by_role("button", name="Take the picture").click()
    expect(page.locator("#camera")).to_be_hidden()
    expect(page.locator(".picture .name")).to_have_text("photo-1.jpg")
    assert page.locator("video").evaluate("video => video.srcObject") is None
    finish(page, 1)


def test_a_camera_that_is_closed_takes_nothing(page_with_camera: Page, server: Service) -> None:
    page = page_with_camera
    opened(page, server)
    page.get_by_role("button", name="Take a photo").click()
    expect(page.get_by_role("button", name="Take the picture")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.locator("#camera")).to_be_hidden()
    assert page.locator("video").evaluate("video => video.srcObject") is None
    expect(page.locator(".picture")).to_have_count(0)


def test_a_phone_opens_its_own_camera(browser: Browser, server: Service) -> None:
    phone = browser.new_context(is_mobile=True, has_touch=True)
    page = phone.new_page()
    opened(page, server)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").click()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(photos(1))
    finish(page, 1)
    phone.close()


def test_without_a_camera_there_is_no_button(page: Page, server: Service) -> None:
    opened(page, server)
    expect(page.get_by_role("button", name="Choose pictures")).to_be_visible()
    expect(page.get_by_role("button", name="Take a photo")).to_have_count(0)


# What the page looks like.


def test_the_downloads_are_always_at_hand(page: Page, server: Service) -> None:
    opened(page, server)
    add(page, *photos(2))
    finish(page, 2)
    for place in ("#tray-title", "#stage", "#look-format"):
        page.locator(place).scroll_into_view_if_needed()
        expect(page.locator("#download-one")).to_be_in_viewport(ratio=1)
        expect(page.locator("#download-all")).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.locator("#look-format").scroll_into_view_if_needed()
    expect(page.locator(".stage-view")).to_be_in_viewport(ratio=1)
    expect(page.locator("#download-one")).to_be_in_viewport(ratio=1)


def test_while_a_file_is_made_the_button_says_so(page: Page, server: Service) -> None:
    opened(page, server)
    add(page, *photos(1))
    finish(page, 1)
    page.evaluate(
        """() => {
            window.heard = [];
            const look = ({target}) => window.heard.push(target.textContent);
            const watch = new MutationObserver(changes => changes.forEach(look));
            for (const id of ["download-one", "said"]) {
                watch.observe(document.getElementById(id), {childList: true});
            }
        }"""
    )
    with page.expect_download():
        page.get_by_role("button", name="Download", exact=True).press("Enter")
    expect(page.locator("#download-one")).to_have_text("Download")
    expect(page.locator("#download-one")).to_be_focused()
    assert page.evaluate("window.heard.filter(text => text.startsWith('Making'))") == [
        "Making the file …",
        "Making the file …",
    ]


def test_a_phone_shows_the_list_until_there_is_a_picture_to_look_at(
    page: Page, server: Service
) -> None:
    opened(page, server)
    add(page, payload("letter.jpg", b"Dear"))
    expect(page.locator(".picture")).to_be_in_viewport()
    expect(page.locator("#stage")).to_be_hidden()
    add(page, *photos(1))
    expect(page.locator("#stage")).to_be_visible(timeout=DONE_MS)
    page.get_by_role("button", name="Remove photo 1.jpg").click()
    expect(page.locator("#stage")).to_be_hidden()


@pytest.mark.parametrize("language", ["en", "fa"])
def test_nothing_is_wider_than_the_window(page: Page, server: Service, language: str) -> None:
    opened(page, server, language)
    fits(page)
    name = "a name without any space that is far too long for a list on a phone" * 2
    add(page, *photos(1), payload(f"{name}.jpg", picture()[:900]))
    finish(page, 1)
    expect(in_state(page, "failed")).to_have_count(1)
    fits(page)


def fits(page: Page) -> None:
    for width in (1280, 700, 320):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_numbers_are_in_the_digits_of_the_language(page: Page, server: Service) -> None:
    opened(page, server, "fa")
    add(page, *photos(2))
    finish(page, 2)
    expect(page.locator("#count")).to_contain_text("۲")


def test_without_javascript_the_page_says_so(browser: Browser, server: Service) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    opened(page, server)
    expect(page.locator("noscript a")).to_have_attribute("href", "/en/api-usage")
    context.close()
