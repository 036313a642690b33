"""What the editor makes of a cut-out in the browser: as the server would have, pixel for pixel."""

import base64
import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, expect

from openrembg.matting.compose import output_size, rotated_size
from openrembg.matting.options import Options
from services import Service

pytestmark = pytest.mark.browser

Pixels = NDArray[np.uint8]
Look = dict[str, Any]

ANSWER_S: Final = 60
ANSWER_MS: Final = ANSWER_S * 1000
# Of 255: WebP has lost a little before the browser begins, and filters differ between libraries.
CLOSE: Final = 0.6
WIDTH, HEIGHT = 360, 240
NO_BACKGROUND = {"kind": "none", "color": "#ffffff", "picture": None, "blur": 30}
PLAIN: Final[Look] = {
    "background": NO_BACKGROUND,
    "w": None,
    "h": None,
    "exact": False,
    "angle": 0,
    "expand": True,
    "format": "webp",
    "quality": 80,
    "mask": False,
}
FROM_LOOK = {"exact": "exact_resize"}

MAKE_FILE = """
async ({ name, photo, cutout, look, strokes }) => {
  const { makeFile } = await import("/static/openrembg/editor/files.js");
  const words = JSON.parse(document.getElementById("stage-words").textContent);
  const blob = (text) => new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);
  const item = { name, file: blob(photo), cutout: blob(cutout), detected: true, strokes };
  const { picture } = look.background;
  const background = { ...look.background, picture: picture && blob(picture) };
  try {
    const file = await makeFile(item, { ...look, background }, words);
    const bytes = new Uint8Array(await file.blob.arrayBuffer());
    return { name: file.name, type: file.blob.type, data: bytes.toBase64?.() ?? text(bytes) };
  } catch (error) {
    return { code: error.code, message: error.message };
  }
  function text(bytes) {
    let all = "";
    for (const byte of bytes) all += String.fromCharCode(byte);
    return btoa(all);
  }
}
"""
SIZES = """
async (asked) => {
  const { outputSize, rotatedSize } = await import("/static/openrembg/editor/geometry.js");
  return asked.map(({ width, height, shape }) => {
    const canvas = rotatedSize(width, height, shape.angle, shape.expand);
    return [canvas, outputSize(...canvas, shape)];
  });
}
"""


def look(**wishes: Any) -> Look:
    """Return a look: the plain one, with these wishes."""
    return {**PLAIN, **wishes}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def file_of(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def photo_image(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Return a photo with a subject that has no symmetry."""
    image = Image.new("RGB", (width, height), (130, 160, 210))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.3, height * 0.1, width * 0.75, height * 0.85), fill=(200, 60, 30))
    draw.ellipse((width * 0.55, height * 0.5, width * 0.7, height * 0.7), fill=(240, 220, 80))
    return image


def answer_of(server: Service, photo: bytes, **fields: str) -> bytes:
    """Return the server's own cut-out."""
    files = {"image": ("p.jpg", photo)}
    answer = requests.post(f"{server.url}/rmbg", files=files, data=fields, timeout=ANSWER_S)
    assert answer.status_code == 200, answer.text
    return answer.content


def image_of(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def premultiplied(data: bytes) -> NDArray[np.float64]:
    """Return what is seen of a picture: colours as strong as they are opaque, and alpha."""
    pixels = np.asarray(image_of(data).convert("RGBA"), np.float64)
    pixels[..., :3] *= pixels[..., 3:] / 255
    return pixels


def difference(one: bytes, other: bytes) -> float:
    """Return how far two files of one size are apart, on average, of 255."""
    first, second = premultiplied(one), premultiplied(other)
    assert first.shape == second.shape
    return float(np.abs(first - second).mean())


@pytest.fixture(scope="module")
def photo() -> bytes:
    return file_of(photo_image(), "JPEG", quality=92)


@pytest.fixture(scope="module")
def cutout(server: Service, photo: bytes) -> bytes:
    return answer_of(server, photo)


@pytest.fixture(scope="module")
def bench(browser: Browser, server: Service) -> Iterator[Page]:
    """The editor's page, whose modules are called by themselves."""
    page = browser.new_page()
    page.goto(f"{server.url}/en/")
    yield page
    page.close()


def make(
    page: Page,
    photo: bytes,
    cutout: bytes,
    look: Look,
    strokes: list[dict[str, Any]] | None = None,
    name: str = "photo.jpg",
) -> dict[str, Any]:
    """Return what makeFile makes: name, type and data, or code and message."""
    background = look["background"]
    picture = background["picture"]
    sent = {**background, "picture": picture and encoded(picture)}
    made: dict[str, Any] = page.evaluate(
        MAKE_FILE,
        {
            "name": name,
            "photo": encoded(photo),
            "cutout": encoded(cutout),
            "look": {**look, "background": sent},
            "strokes": strokes or [],
        },
    )
    if "data" in made:
        made["data"] = base64.b64decode(made["data"])
    return made


# Sizes


def random_shapes(count: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(6)
    angles: list[float] = [0, 90, -90, 180, -180, 270, 360, -360, 45, 0.001, 89.999, -30.5]
    for _ in range(count):
        sides = [chance.choice((None, 1, 10_000, chance.randint(1, 10_000))) for _ in "wh"]
        angle = chance.choice((*angles, round(chance.uniform(-360, 360), 3)))
        shape = {
            "w": sides[0],
            "h": sides[1],
            "exact": chance.random() < 0.5,
            "angle": angle,
            "expand": chance.random() < 0.5,
        }
        width, height = (chance.choice((1, 2, 10_000, chance.randint(1, 6000))) for _ in "wh")
        yield {"width": width, "height": height, "shape": shape}


def test_sizes_are_reckoned_as_on_the_server(bench: Page) -> None:
    asked = list(random_shapes(2000))
    expected = []
    for each in asked:
        shape = each["shape"]
        turned = rotated_size(each["width"], each["height"], shape["angle"], shape["expand"])
        options = Options(w=shape["w"], h=shape["h"], exact_resize=shape["exact"])
        expected.append([list(turned), list(output_size(*turned, options))])
    assert bench.evaluate(SIZES, asked) == expected


# Pixels

SHAPES: Final = [
    {},
    {"angle": 90},
    {"angle": -90},
    {"angle": 180},
    {"angle": 90, "expand": False},
    {"angle": 270, "expand": False},
    {"angle": 30},
    {"angle": -137.5, "expand": False},
    {"w": 97},
    {"h": 700},
    {"w": 100, "h": 100},
    {"w": 100, "h": 300, "exact": True},
    {"w": 801, "h": 90, "exact": True, "angle": 12},
    {"w": 333, "angle": 45},
]


def fields_of(wishes: Look) -> dict[str, str]:
    return {FROM_LOOK.get(name, name): str(value).lower() for name, value in wishes.items()}


@pytest.mark.parametrize("wishes", SHAPES, ids=str)
def test_a_png_is_as_the_server_makes_it(
    bench: Page, server: Service, photo: bytes, cutout: bytes, wishes: Look
) -> None:
    made = make(bench, photo, cutout, look(format="png", **wishes))
    assert made["name"] == "photo.png"
    expected = answer_of(server, photo, format="png", **fields_of(wishes))
    assert difference(made["data"], expected) < CLOSE


@pytest.mark.parametrize("format_", ["webp", "png", "jpeg", "bmp"])
@pytest.mark.parametrize("color", [None, "#dbeafe"])
def test_a_background_is_as_the_server_lays_it(
    bench: Page, server: Service, photo: bytes, cutout: bytes, format_: str, color: str | None
) -> None:
    kind = {**NO_BACKGROUND, "kind": "color" if color else "none", "color": color or "#000000"}
    wishes = look(format=format_, background=kind, angle=20, quality=92)
    made = make(bench, photo, cutout, wishes)
    expected = answer_of(server, photo, format=format_, angle="20", bg_color=color or "")
    assert made["type"] == f"image/{format_}"
    assert image_of(made["data"]).format == format_.upper()
    assert difference(made["data"], expected) < CLOSE


@pytest.mark.parametrize("format_", ["webp", "png", "jpeg", "bmp"])
def test_a_mask_is_as_the_server_makes_it(
    bench: Page, server: Service, photo: bytes, cutout: bytes, format_: str
) -> None:
    wishes = look(format=format_, mask=True, angle=30, w=200)
    made = image_of(make(bench, photo, cutout, wishes)["data"])
    expected = image_of(answer_of(server, photo, format=format_, mask="true", angle="30", w="200"))
    assert made.mode == ("L" if format_ in ("png", "bmp") else "RGB")
    pair = [np.asarray(each.convert("L"), np.float64) for each in (made, expected)]
    assert np.abs(pair[0] - pair[1]).mean() < CLOSE


def test_jpeg_and_bmp_are_never_black_where_nothing_is(
    bench: Page, photo: bytes, cutout: bytes
) -> None:
    for format_ in ("jpeg", "bmp"):
        made = image_of(make(bench, photo, cutout, look(format=format_))["data"])
        assert np.asarray(made.convert("RGB"))[2, 2].min() >= 252


def test_a_picture_lies_behind_and_fills_the_output(
    bench: Page, photo: bytes, cutout: bytes
) -> None:
    halves = Image.new("RGB", (100, 400), (0, 0, 255))
    halves.paste((0, 255, 0), (0, 200, 100, 400))
    kind = {**NO_BACKGROUND, "kind": "picture", "picture": file_of(halves)}
    made = image_of(make(bench, photo, cutout, look(format="png", background=kind))["data"])
    assert made.size == (WIDTH, HEIGHT)
    pixels = np.asarray(made.convert("RGBA"))
    assert tuple(pixels[2, 2]) == (0, 0, 255, 255)
    assert tuple(pixels[-3, 2]) == (0, 255, 0, 255)


def test_a_blurred_background_keeps_the_ground_and_forgets_the_subject(
    bench: Page, photo: bytes, cutout: bytes
) -> None:
    kind = {**NO_BACKGROUND, "kind": "blur", "blur": 80}
    made = image_of(make(bench, photo, cutout, look(format="png", background=kind))["data"])
    pixels = np.asarray(made.convert("RGBA"), np.int64)
    assert pixels[..., 3].min() == 255
    alpha = np.asarray(image_of(cutout).getchannel("A"))
    ground = pixels[alpha == 0][:, :3]
    # The subject's red would shine around it.
    assert np.abs(ground - (130, 160, 210)).max() < 25
    assert np.abs(pixels[120, 180, :3] - (200, 60, 30)).max() < 30


# What stays as it came


def test_without_changes_the_file_is_the_server_s(bench: Page, photo: bytes, cutout: bytes) -> None:
    made = make(bench, photo, cutout, look(), name="Élan à Pâques.JPG")
    assert made["data"] == cutout
    assert made["name"] == "Élan à Pâques.webp"


def test_strokes_that_were_taken_away_change_nothing(
    bench: Page, photo: bytes, cutout: bytes
) -> None:
    reset = {"tool": "reset", "size": 0, "soft": False, "points": []}
    made = make(bench, photo, cutout, look(angle=360), [stroke("erase"), reset])
    assert made["data"] == cutout


# Colours


def grainy() -> Image.Image:
    """Return a photo that WebP changes everywhere."""
    grain = Image.effect_noise((WIDTH, HEIGHT), 40).convert("RGB")
    return Image.blend(photo_image(), grain, 0.3)


def test_opaque_parts_have_the_photo_s_own_colours(bench: Page, server: Service) -> None:
    photo = file_of(grainy())
    cutout = answer_of(server, photo)
    made = np.asarray(image_of(make(bench, photo, cutout, look(format="png"))["data"]))
    expected = np.asarray(image_of(answer_of(server, photo, format="png")))
    opaque = expected[..., 3] == 255
    assert opaque.mean() > 0.1
    assert (made[opaque] == expected[opaque]).all()


def test_a_photo_that_is_shown_in_other_colours_is_not_mixed_in(
    bench: Page, photo: bytes, cutout: bytes
) -> None:
    other = file_of(photo_image().point(lambda value: value * 0.9))
    made = make(bench, other, cutout, look(format="png"))
    assert difference(made["data"], cutout) < 0.2


# Strokes


def stroke(tool: str, size: float = 1000, soft: bool = False) -> dict[str, Any]:
    return {"tool": tool, "size": size, "soft": soft, "points": [[0, 0], [WIDTH, HEIGHT]]}


def test_erasing_everything_leaves_nothing(bench: Page, photo: bytes, cutout: bytes) -> None:
    made = make(bench, photo, cutout, look(format="png"), [stroke("erase")])
    assert premultiplied(made["data"]).max() == 0


def test_bringing_everything_back_gives_the_original(
    bench: Page, photo: bytes, cutout: bytes
) -> None:
    made = make(bench, photo, cutout, look(format="png"), [stroke("erase"), stroke("restore")])
    assert difference(made["data"], photo) < 0.5


def test_the_original_of_a_turned_photo_is_brought_back_upright(
    bench: Page, server: Service
) -> None:
    upright = photo_image()
    exif = Image.Exif()
    exif[274] = 6
    turned = file_of(upright.rotate(90, expand=True), "JPEG", quality=95, exif=exif)
    cutout = answer_of(server, turned)
    assert image_of(cutout).size == upright.size
    made = make(bench, turned, cutout, look(format="png"), [stroke("restore")])
    assert difference(made["data"], file_of(upright)) < 2


def test_a_soft_stroke_fades_from_its_core_to_its_rim(
    bench: Page, photo: bytes, cutout: bytes
) -> None:
    line = {"tool": "restore", "size": 100, "soft": True, "points": [[0, 50], [WIDTH, 50]]}
    erased = [stroke("erase"), line]
    made = image_of(make(bench, photo, cutout, look(format="png"), erased)["data"])
    column = np.asarray(made.getchannel("A"), np.int64)[:, 20]
    assert column[45:55].min() == 255
    assert column[110:].max() == 0
    fading = column[50:101]
    assert (np.diff(fading) <= 0).all()
    assert 100 < fading[31] < 155


def test_strokes_lie_in_the_picture_whatever_its_turn(
    bench: Page, photo: bytes, cutout: bytes
) -> None:
    dot = {"tool": "erase", "size": 60, "soft": False, "points": [[180, 120]]}
    plain = image_of(make(bench, photo, cutout, look(format="png"), [dot])["data"])
    turned = image_of(make(bench, photo, cutout, look(format="png", angle=90), [dot])["data"])
    assert difference(file_of(plain.rotate(90, expand=True)), file_of(turned)) == 0
    assert plain.getpixel((180, 120)) == (0, 0, 0, 0)


# What cannot be made


def test_a_picture_that_cannot_be_opened_is_told_in_a_sentence(bench: Page, photo: bytes) -> None:
    made = make(bench, photo, b"no picture", look(format="png"))
    assert made["code"] == "undecodable"
    assert made["message"].startswith("This browser cannot open this picture.")
    assert make(bench, photo, b"no picture", look())["data"] == b"no picture"


def test_a_canvas_that_is_too_large_is_refused(bench: Page) -> None:
    code = bench.evaluate(
        """async () => {
          const { clearCanvas } = await import("/static/openrembg/editor/picture.js");
          try { clearCanvas(60000, 60000); } catch (error) { return error.code; }
        }"""
    )
    assert code == "too_large"


# Names

NAMES: Final = {
    "photo.jpg": "photo",
    "archive.tar.png": "archive.tar",
    "no extension": "no extension",
    "../../etc/passwd.png": "-..-etc-passwd",
    "C:\\photos\\me.png": "C--photos-me",
    'a<b>c:"d|e?f*.png': "a-b-c--d-e-f-",
    "CON.png": "_CON",
    "aux.b.png": "_aux.b",
    ".png": "picture",
    "  .. .jpg": "picture",
    "‮gpj.exe.png": "gpj.exe",
    "عکس‌ها.jpg": "عکس‌ها",
    "写真.webp": "写真",
    "x" * 300 + ".png": "x" * 100,
}


def test_names_are_kept_as_far_as_every_system_can(bench: Page) -> None:
    stems = bench.evaluate(
        """async (names) => {
          const { safeStem } = await import("/static/openrembg/editor/files.js");
          return names.map(safeStem);
        }""",
        list(NAMES),
    )
    assert dict(zip(NAMES, stems, strict=True)) == NAMES


def test_a_zip_has_every_picture_once_but_those_that_fail(
    bench: Page, photo: bytes, cutout: bytes, tmp_path: Path
) -> None:
    with bench.expect_download() as taken:
        told = bench.evaluate(
            """async ({ photo, cutout, look }) => {
              const { downloadAll } = await import("/static/openrembg/editor/files.js");
              const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
              const [file, good] = [new Blob([bytes(photo)]), new Blob([bytes(cutout)])];
              const names = ["a.jpg", "A.png", "a (2).jpg", "broken.jpg", "../a.jpg"];
              const items = names.map((name) => {
                const cutout = name === "broken.jpg" ? file.slice(0, 9) : good;
                return { name, file, cutout, detected: true, strokes: [] };
              });
              const steps = [];
              const words = JSON.parse(document.getElementById("stage-words").textContent);
              const failures = await downloadAll(items, look, words, (...step) => steps.push(step));
              return { steps, failed: failures.map(({ item, error }) => [item.name, error.code]) };
            }""",
            {"photo": encoded(photo), "cutout": encoded(cutout), "look": look(format="png")},
        )
    assert told["failed"] == [["broken.jpg", "undecodable"]]
    assert told["steps"] == [[count, 5] for count in range(6)]
    taken.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == ["a.png", "A (2).png", "a (2) (2).png", "-a.png"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert image_of(archive.read(names[0])).size == (WIDTH, HEIGHT)


# The page


@pytest.fixture
def photo_file(photo: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "ball.jpg"
    path.write_bytes(photo)
    return path


def opened(page: Page, server: Service, photo: Path, language: str = "en") -> Page:
    """Return the editor with this picture on the stage."""
    page.goto(f"{server.url}/{language}/")
    page.locator("#files").set_input_files(photo)
    expect(page.locator("[data-part=frame]")).to_be_visible(timeout=ANSWER_MS)
    return page


@pytest.fixture
def stage(page: Page, server: Service, photo_file: Path, complaints: list[str]) -> Iterator[Page]:
    """The editor with a picture on the stage; nothing may be wrong at the end."""
    page.set_viewport_size({"width": 1280, "height": 900})
    yield opened(page, server, photo_file)
    assert complaints == []


def saved(page: Page) -> Image.Image:
    """Return what the button for one picture downloads."""
    with page.expect_download() as taken:
        page.locator("#download-one").click()
    return image_of(taken.value.path().read_bytes())


def alpha_at(page: Page, x: float, y: float) -> int:
    """Return the alpha that the stage shows at fractions of its width and height."""
    return int(
        page.locator("[data-part=after]").evaluate(
            """(canvas, [x, y]) => canvas.getContext("2d")
              .getImageData(x * canvas.width, y * canvas.height, 1, 1).data[3]""",
            [x, y],
        )
    )


def drag(page: Page, *points: tuple[float, float]) -> None:
    """Draw a line over the picture, through fractions of its width and height."""
    frame = page.locator("[data-part=frame]")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    for index, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        if index == 0:
            page.mouse.down()
    page.mouse.up()


def view(page: Page, name: str) -> Locator:
    return page.locator(f"[name=stage-view][value={name}]")


def choose_format(page: Page, name: str) -> None:
    page.locator("#look-format").select_option(name)


def test_a_brush_erases_and_brings_back_and_both_can_be_undone(stage: Page) -> None:
    undo, redo, reset = (stage.locator(f"[data-do={name}]") for name in ("undo", "redo", "reset"))
    expect(undo).to_be_disabled()
    stage.locator("[data-tool=erase]").click()
    drag(stage, (0.4, 0.5), (0.65, 0.5))
    assert alpha_at(stage, 0.5, 0.5) == 0
    stage.locator("[data-tool=restore]").click()
    drag(stage, (0.1, 0.1), (0.1, 0.3))
    assert alpha_at(stage, 0.1, 0.2) == 255
    undo.click()
    assert alpha_at(stage, 0.1, 0.2) == 0
    undo.click()
    assert alpha_at(stage, 0.5, 0.5) == 255
    expect(undo).to_be_disabled()
    redo.click()
    assert alpha_at(stage, 0.5, 0.5) == 0
    reset.click()
    assert alpha_at(stage, 0.5, 0.5) == 255
    stage.keyboard.press("Control+z")
    assert alpha_at(stage, 0.5, 0.5) == 0


def test_what_was_painted_is_in_the_file(stage: Page) -> None:
    stage.locator("[data-tool=erase]").click()
    drag(stage, (0.5, 0.5), (0.55, 0.5))
    choose_format(stage, "png")
    pixel = saved(stage).getpixel((WIDTH // 2, HEIGHT // 2))
    assert pixel == (0, 0, 0, 0)


def test_a_turned_picture_is_painted_where_the_pointer_is(stage: Page) -> None:
    stage.locator("[data-turn='90']").click()
    stage.locator("[data-tool=restore]").click()
    # The left upper corner that is seen was the right upper one.
    drag(stage, (0.05, 0.05), (0.06, 0.05))
    assert alpha_at(stage, 0.05, 0.05) == 255
    stage.locator("[data-turn='-90']").click()
    assert alpha_at(stage, 0.95, 0.05) == 255
    assert alpha_at(stage, 0.05, 0.05) == 0


def test_one_can_paint_with_the_keys_alone(stage: Page) -> None:
    stage.locator("[data-part=view]").focus()
    stage.keyboard.press("e")
    expect(stage.locator("[data-tool=erase]")).to_have_attribute("aria-pressed", "true")
    stage.keyboard.press("Space")
    expect(stage.locator("#stage-status")).to_have_text("The brush is down.")
    for _ in range(4):
        stage.keyboard.press("ArrowRight")
    stage.keyboard.press("Space")
    expect(stage.locator("#stage-status")).to_have_text("The brush is up.")
    assert alpha_at(stage, 0.5, 0.5) == 0
    stage.keyboard.press("Control+z")
    assert alpha_at(stage, 0.5, 0.5) == 255
    stage.keyboard.press("Escape")
    expect(stage.locator("[data-tool=erase]")).to_have_attribute("aria-pressed", "false")


def test_letters_typed_into_fields_take_no_tool(stage: Page) -> None:
    for field in ("#look-w", "#look-format"):
        stage.locator(field).press("b")
        expect(stage.locator("[data-tool=restore]")).to_have_attribute("aria-pressed", "false")


def test_the_keys_of_the_tools_work_wherever_the_focus_is(stage: Page) -> None:
    stage.locator("#tray-title").focus()
    stage.keyboard.press("b")
    expect(stage.locator("[data-tool=restore]")).to_have_attribute("aria-pressed", "true")
    expect(stage.locator("[data-part=view]")).to_be_focused()
    stage.locator("[data-choose]").last.focus()
    stage.keyboard.press("Escape")
    expect(stage.locator("[data-tool=restore]")).to_have_attribute("aria-pressed", "false")


def test_the_wheel_over_the_picture_scrolls_the_page(
    page: Page, server: Service, photo_file: Path
) -> None:
    opened(page, server, photo_file)
    page.locator("[data-part=view]").scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    page.locator("[data-part=frame]").hover()
    page.mouse.wheel(0, 150)
    page.wait_for_function("before => scrollY > before + 100", arg=before)


def test_the_slider_is_moved_by_mouse_and_by_keys(stage: Page) -> None:
    slider, before = stage.locator("[data-part=slider]"), stage.locator("[data-part=before]")
    drag(stage, (0.5, 0.5), (0.8, 0.5))
    expect(slider).to_have_value("80")
    expect(slider).to_be_focused()
    assert before.evaluate("each => each.style.clipPath") == "inset(0px 20% 0px 0px)"
    stage.keyboard.press("Home")
    expect(slider).to_have_value("0")
    expect(slider).to_have_attribute("aria-valuetext", "Original: 0%")


def test_the_slider_begins_at_the_right_where_one_reads_from_there(
    page: Page, server: Service, photo_file: Path
) -> None:
    opened(page, server, photo_file, "fa")
    drag(page, (0.5, 0.5), (0.8, 0.5))
    expect(page.locator("[data-part=slider]")).to_have_value("20")
    clip = page.locator("[data-part=before]").evaluate("each => each.style.clipPath")
    assert clip == "inset(0px 0px 0px 80%)"


def test_the_mask_is_shown_in_black_and_white(stage: Page) -> None:
    view(stage, "mask").check(force=True)
    seen = stage.locator("[data-part=after]").evaluate(
        """(canvas) => [[0.5, 0.5], [0.05, 0.05]].map(([x, y]) => [...canvas.getContext("2d")
          .getImageData(x * canvas.width, y * canvas.height, 1, 1).data])"""
    )
    assert seen == [[255, 255, 255, 255], [0, 0, 0, 255]]


def test_at_100_percent_a_pixel_is_a_pixel(stage: Page) -> None:
    stage.locator("[name=stage-zoom][value='1']").check(force=True)
    box = stage.locator("[data-part=frame]").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("wrong", ["0", "10001", "abc", "12.5", "-3"])
def test_a_wrong_size_is_told_beside_the_field_and_not_applied(stage: Page, wrong: str) -> None:
    field, error = stage.locator("#look-w"), stage.locator("#look-w-error")
    field.fill("180")
    expect(stage.locator("[data-part=facts]")).to_have_text("180 × 120 pixels")
    field.fill(wrong)
    expect(error).to_have_text("The width is a whole number from 1 to 10,000.")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(stage.locator("[data-part=facts]")).to_have_text("180 × 120 pixels")
    field.fill("")
    expect(error).to_be_hidden()
    expect(stage.locator("[data-part=facts]")).to_have_text("360 × 240 pixels")


@pytest.mark.parametrize("wrong", ["361", "-360.5", "ninety", "1e2", "nan"])
def test_a_wrong_angle_is_told_and_not_applied(stage: Page, wrong: str) -> None:
    stage.locator("#look-angle").fill(wrong)
    expect(stage.locator("#look-angle-error")).to_have_text(
        "The angle is a number from −360 to 360."
    )
    expect(stage.locator("[data-part=facts]")).to_have_text("360 × 240 pixels")


def test_a_wrong_number_stops_the_download_and_is_led_to(stage: Page) -> None:
    names: list[str] = []
    stage.on("download", lambda download: names.append(download.suggested_filename))
    stage.locator("#look-w").fill("99999")
    stage.locator("#download-one").click()
    expect(stage.locator("#look-w")).to_be_focused()
    expect(stage.locator("#look-w-error")).to_be_visible()
    stage.locator("#look-w").fill("90")
    assert saved(stage).size == (90, 60)
    assert names == ["ball.webp"]


@pytest.mark.parametrize("width", ["300", "99999"])
def test_a_button_does_not_move_away_while_it_is_pressed(stage: Page, width: str) -> None:
    download = stage.locator("#download-one")
    download.scroll_into_view_if_needed()
    stage.locator("#look-h").fill("200")
    stage.locator("#look-w").fill(width)
    place = download.bounding_box()
    assert place is not None
    stage.mouse.move(place["x"] + 9, place["y"] + 9)
    stage.mouse.down()
    # Longer than half a number waits to be finished.
    stage.wait_for_timeout(450)
    assert download.bounding_box() == place
    stage.mouse.up()
    expect(stage.locator("#look-w-error")).to_be_visible(visible=width == "99999")


def test_persian_digits_are_understood(page: Page, server: Service, photo_file: Path) -> None:
    opened(page, server, photo_file, "fa")
    expect(page.locator("#look-angle")).to_have_value("۰")
    expect(page.locator("label:has([name=stage-zoom])")).to_contain_text(["", "۱۰۰٪", "۲۰۰٪"])
    page.locator("#look-w").fill("۱۸۰")
    page.locator("#look-angle").fill("−۹۰٫۰")
    page.locator("#look-angle").press("Tab")
    choose_format(page, "png")
    assert saved(page).size == (180, 270)


def test_what_goes_with_a_choice_appears_with_it(stage: Page) -> None:
    exact, expand = (stage.locator(f"[name={name}]") for name in ("exact", "expand"))
    expect(stage.locator("[data-part=opaque]")).to_be_hidden()
    expect(exact).to_be_disabled()
    expect(expand).to_be_disabled()
    stage.locator("#look-w").fill("100")
    stage.locator("#look-h").fill("100")
    exact.check()
    expect(stage.locator("[data-part=facts]")).to_have_text("100 × 100 pixels")
    stage.locator("#look-angle").fill("10")
    expect(expand).to_be_enabled()
    choose_format(stage, "jpeg")
    expect(stage.locator("[data-part=opaque]")).to_be_visible()
    expect(stage.locator("#look-quality")).to_have_value("92")
    stage.locator("[name=background][value=picture]").check(force=True)
    expect(stage.locator("[data-part=opaque]")).to_be_visible()
    stage.locator("[name=background][value=color]").check(force=True)
    expect(stage.locator("[data-part=opaque]")).to_be_hidden()
    stage.locator("[data-color='#16181d']").click()
    assert saved(stage).convert("RGB").getpixel((50, 50)) != (255, 255, 255)


def test_a_file_that_is_no_picture_is_no_background(stage: Page, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture at all")
    stage.locator("[name=background][value=picture]").check(force=True)
    stage.locator("#look-picture").set_input_files(text)
    expect(stage.locator("#look-picture-error")).to_have_text(
        "This browser cannot open this file as a picture."
    )
    good = tmp_path / "blue.png"
    good.write_bytes(file_of(Image.new("RGB", (20, 10), (0, 0, 255))))
    stage.locator("#look-picture").set_input_files(good)
    expect(stage.locator("#look-picture-error")).to_be_hidden()
    expect(stage.locator("[data-part=picture-name]")).to_have_text("blue.png")
    choose_format(stage, "png")
    assert saved(stage).convert("RGB").getpixel((2, 2)) == (0, 0, 255)


def test_a_picture_in_which_nothing_was_found_can_be_mended(
    page: Page, server: Service, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.png"
    plain.write_bytes(file_of(Image.new("RGB", (300, 200), (90, 90, 90))))
    opened(page, server, plain)
    note = "Nothing was found in this picture. You can bring parts of it back with the brush."
    expect(page.locator("#stage [data-part=message]")).to_have_text(note)
    page.locator("[data-tool=restore]").click()
    drag(page, (0.5, 0.5), (0.55, 0.5))
    assert alpha_at(page, 0.5, 0.5) == 255


SHOW = """
async ({ photo, cutout, look }) => {
  const { createStage } = await import("/static/openrembg/editor/stage.js");
  const words = JSON.parse(document.getElementById("stage-words").textContent);
  const blob = (text) => new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);
  const stage = createStage(document.getElementById("stage"), words, { onEdit() {} });
  const item = { name: "a", file: blob(photo), cutout: blob(cutout), detected: true, strokes: [] };
  await stage.show(item, look);
}
"""


@pytest.mark.parametrize(
    ("broken", "note", "may_erase"),
    [
        ("photo", "This browser cannot show the original.", True),
        ("cutout", "This browser cannot show the cut-out.", False),
    ],
)
def test_a_file_that_the_browser_cannot_show_is_told(
    page: Page,
    server: Service,
    photo: bytes,
    cutout: bytes,
    broken: str,
    note: str,
    may_erase: bool,
) -> None:
    page.goto(f"{server.url}/en/")
    files = {"photo": encoded(photo), "cutout": encoded(cutout)}
    page.evaluate(SHOW, {**files, broken: encoded(b"no picture"), "look": PLAIN})
    expect(page.locator("#stage [data-part=message]")).to_contain_text(note)
    expect(page.locator("[data-tool=restore]")).to_be_disabled()
    expect(page.locator("[data-tool=erase]")).to_be_enabled(enabled=may_erase)


def test_one_finger_paints_and_two_move_the_picture(
    browser: Browser, server: Service, photo_file: Path
) -> None:
    context = browser.new_context(has_touch=True, viewport={"width": 320, "height": 900})
    page = opened(context.new_page(), server, photo_file)
    page.locator("[name=stage-zoom][value='2']").check(force=True)
    page.locator("[data-tool=restore]").click()
    page.locator("[data-part=view]").scroll_into_view_if_needed()
    box = page.locator("[data-part=view]").bounding_box()
    assert box is not None
    left, top = box["x"] + 60, box["y"] + 60
    touch(page, [[(left, top)], []])
    assert alpha_at(page, 60 / (2 * WIDTH), 60 / (2 * HEIGHT)) == 255
    fingers = [[(left + 20 - step, top), (left + 120 - step, top)] for step in range(0, 60, 5)]
    touch(page, [fingers[0][:1], *fingers, []])
    assert page.locator("[data-part=view]").evaluate("view => view.scrollLeft") > 30
    page.locator("[data-do=undo]").click()
    expect(page.locator("[data-do=undo]")).to_be_disabled()
    context.close()


def touch(page: Page, moments: list[list[tuple[float, float]]]) -> None:
    """Let fingers be at these places, one moment after the other; at none when they are lifted."""
    session = page.context.new_cdp_session(page)
    fingers = 0
    for places in moments:
        kind = "touchEnd" if not places else "touchStart" if len(places) > fingers else "touchMove"
        fingers = len(places)
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.mark.parametrize("language", ["en", "fa", "id", "ja", "ko"])
def test_views_and_tools_stand_in_one_row_on_a_tablet(
    page: Page, server: Service, language: str
) -> None:
    page.set_viewport_size({"width": 768, "height": 900})
    page.goto(f"{server.url}/{language}/")
    page.evaluate("document.getElementById('editor').dataset.view = 'work'")
    for bar in (".stage-bar", ".stage-tools"):
        tops = page.locator(f"{bar} > .segments").evaluate_all(
            "all => all.map(each => each.getBoundingClientRect().top)"
        )
        assert len(set(tops)) == 1, (language, bar)
    assert page.evaluate("document.documentElement.scrollWidth") == 768


def test_names_begin_where_the_page_s_lines_do(
    page: Page, server: Service, photo_file: Path
) -> None:
    opened(page, server, photo_file, "fa")
    ends = page.locator(".about").evaluate(
        """(about) => {
          const text = document.createRange();
          text.selectNodeContents(about.querySelector(".name"));
          return [about, text].map((each) => Math.round(each.getBoundingClientRect().right));
        }"""
    )
    assert ends[0] == ends[1]


def test_a_finger_on_the_picture_scrolls_the_page_and_moves_no_slider(
    browser: Browser, server: Service, photo_file: Path
) -> None:
    context = browser.new_context(has_touch=True, viewport={"width": 320, "height": 700})
    page = opened(context.new_page(), server, photo_file)
    page.locator("[data-part=view]").scroll_into_view_if_needed()
    before, box = page.evaluate("scrollY"), page.locator("[data-part=frame]").bounding_box()
    assert box is not None
    left, top = box["x"] + 60, box["y"] + 60
    touch(page, [*([(left, top - step)] for step in range(0, 160, 10)), []])
    page.wait_for_function("before => scrollY > before + 50", arg=before)
    expect(page.locator("[data-part=slider]")).to_have_value("50")
    context.close()


def test_everything_fits_on_a_small_phone(page: Page, server: Service, photo_file: Path) -> None:
    opened(page, server, photo_file)
    page.locator("[data-tool=erase]").click()
    for kind in ("color", "picture", "blur"):
        page.locator(f"[name=background][value={kind}]").check(force=True)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
