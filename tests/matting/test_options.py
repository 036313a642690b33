"""Options: ranges, words and colours, with the contract's sentences."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from openrembg import InvalidOptions, Options
from openrembg.matting.options import FORMATS, parse_color, parse_format


def messages(**values: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidOptions) as caught:
        Options(**values)  # type: ignore[arg-type]
    return [(error.field, error.message) for error in caught.value.errors]


def test_defaults_are_those_of_the_contract() -> None:
    assert dataclasses.asdict(Options()) == {
        "w": None,
        "h": None,
        "exact_resize": False,
        "mask": False,
        "format": "webp",
        "angle": 0.0,
        "expand": True,
        "bg_color": None,
    }


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"w": 0}, "w", "'w' must be at least 1, got: 0"),
        ({"h": -5}, "h", "'h' must be at least 1, got: -5"),
        ({"w": 15000}, "w", "'w' must be at most 10000, got: 15000"),
        ({"angle": 500}, "angle", "'angle' must be between -360 and 360 degrees, got: 500.0"),
        ({"angle": 10**400}, "angle", f"'angle' must be a number, got: '1{'0' * 63}'"),
        ({"angle": float("nan")}, "angle", "'angle' must be a number, got: 'nan'"),
        (
            {"format": "gif"},
            "format",
            "Invalid format 'gif'. Allowed formats: PNG, JPEG, WEBP, BMP",
        ),
        (
            {"bg_color": "#12345"},
            "bg_color",
            "Invalid color format '#12345'. Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA",
        ),
        (
            {"mask": True, "bg_color": "red"},
            "mask",
            "Cannot use 'mask=true' together with 'bg_color'. Choose one or the other.",
        ),
    ],
)
def test_a_value_out_of_range_is_refused_in_the_contracts_words(
    values: dict[str, object], field: str, message: str
) -> None:
    assert messages(**values) == [(field, message)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"w": 2.5}, "'w' must be an integer, got: '2.5'"),
        ({"h": "100"}, "'h' must be an integer, got: '100'"),
        ({"w": True}, "'w' must be an integer, got: 'True'"),
        ({"angle": "ninety"}, "'angle' must be a number, got: 'ninety'"),
        ({"angle": None}, "'angle' must be a number, got: 'None'"),
        ({"format": None}, "Invalid format 'None'. Allowed formats: PNG, JPEG, WEBP, BMP"),
        (
            {"bg_color": (255, 0, 0)},
            "Invalid color format '(255, 0, 0)'. "
            "Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA",
        ),
    ],
)
def test_a_value_of_another_type_is_refused_in_the_contracts_words(
    values: dict[str, object], message: str
) -> None:
    assert messages(**values) == [(next(iter(values)), message)]


def test_all_wrong_values_are_told_at_once() -> None:
    assert [field for field, _ in messages(w=-1, h=20000, angle=400, format="gif")] == [
        "w",
        "h",
        "angle",
        "format",
    ]


def test_sides_and_angles_at_their_limits_are_allowed() -> None:
    assert Options(w=1, h=10000, angle=-360).angle == -360
    assert Options(angle=360).angle == 360


@pytest.mark.parametrize("text", ["JPG", "jpg", "JPEG", "Jpeg"])
def test_jpg_is_jpeg_in_any_case(text: str) -> None:
    assert Options(format=text).format == "jpeg"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "color"),
    [
        ("#abc", (170, 187, 204, 255)),
        ("#ABCD", (170, 187, 204, 221)),
        ("#102030", (16, 32, 48, 255)),
        ("#10203040", (16, 32, 48, 64)),
        ("ReD", (255, 0, 0, 255)),
        ("rebeccapurple", (102, 51, 153, 255)),
        ("transparent", (0, 0, 0, 0)),
    ],
)
def test_a_color_is_hex_or_a_css_name_in_any_case(text: str, color: tuple[int, ...]) -> None:
    assert parse_color(text) == color
    assert Options(bg_color=text).background == color


def test_only_ascii_has_another_case() -> None:
    assert isinstance(color_or_sentence("\N{KELVIN SIGN}haki"), str)


@given(st.text(max_size=200))
def test_any_text_is_a_color_or_a_sentence_that_echoes_at_most_64_characters(text: str) -> None:
    answer = color_or_sentence(text)
    if isinstance(answer, str):
        assert answer.startswith(f"Invalid color format '{text[:64]}'. ")
        assert len(answer) < 200
    else:
        assert all(0 <= part <= 255 for part in answer)


def color_or_sentence(text: str) -> tuple[int, ...] | str:
    try:
        return parse_color(text)
    except ValueError as error:
        return str(error)


def test_a_color_name_survives_its_use_by_pillow() -> None:
    Image.new("RGB", (1, 1), "teal")
    assert parse_color("teal") == (0, 128, 128, 255)


@given(st.text(max_size=20))
def test_no_other_word_is_a_format(text: str) -> None:
    if text.lower() in (*FORMATS, "jpg"):
        return
    with pytest.raises(ValueError, match="Allowed formats: PNG, JPEG, WEBP, BMP"):
        parse_format(text)
