import pytest

from openrembg.matting.errors import FieldError, InvalidOptions
from openrembg.matting.options import Options
from openrembg.server.removal.schemas import ORDER, parse_options


def fault(**fields: str) -> list[FieldError]:
    with pytest.raises(InvalidOptions) as caught:
        parse_options(fields)
    return list(caught.value.errors)


def test_no_field_means_every_default() -> None:
    assert parse_options({}) == Options()


def test_an_empty_field_means_its_default() -> None:
    names = [name for name in ORDER if name != "image"]
    assert parse_options(dict.fromkeys(names, "")) == Options()


def test_unknown_fields_are_ignored() -> None:
    assert parse_options({"quality": "very", "size": "4k"}) == Options()


@pytest.mark.parametrize("text", ["0", "00", "+0", "-0", ""])
def test_zero_and_empty_sides_are_not_set(text: str) -> None:
    assert parse_options({"w": text, "h": text}) == Options()


@pytest.mark.parametrize(
    ("text", "side"), [("1", 1), ("10000", 10000), ("+12", 12), (" 7 ", 7), ("007", 7)]
)
def test_a_side_is_read(text: str, side: int) -> None:
    assert parse_options({"w": text}).w == side


@pytest.mark.parametrize(
    "text", ["abc", "12.5", "1e3", "１２", "0x10", "1_000", "1 000", "--1", "1234567890", " "]
)
@pytest.mark.parametrize("name", ["w", "h"])
def test_a_side_that_is_no_integer(name: str, text: str) -> None:
    message = f"'{name}' must be an integer, got: '{text}'"
    assert fault(**{name: text}) == [FieldError(name, message)]


def test_a_side_out_of_range() -> None:
    assert fault(w="-5") == [FieldError("w", "'w' must be at least 1, got: -5")]
    assert fault(h="15000") == [FieldError("h", "'h' must be at most 10000, got: 15000")]


@pytest.mark.parametrize(
    ("text", "angle"),
    [("90", 90.0), ("-360", -360.0), ("+1.5", 1.5), (".5", 0.5), ("5.", 5.0), (" 3 ", 3.0)],
)
def test_an_angle_is_read(text: str, angle: float) -> None:
    assert parse_options({"angle": text}).angle == angle


@pytest.mark.parametrize(
    "text", ["ninety", "nan", "inf", "-infinity", "1e2", "１", "1_0", "0x1", ".", "1,5", "1" * 65]
)
def test_an_angle_that_is_no_number(text: str) -> None:
    message = f"'angle' must be a number, got: '{text[:64]}'"
    assert fault(angle=text) == [FieldError("angle", message)]


def test_an_angle_out_of_range_is_told_as_a_float() -> None:
    message = "'angle' must be between -360 and 360 degrees, got: 500.0"
    assert fault(angle="500") == [FieldError("angle", message)]


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "On"])
def test_true_in_every_spelling(text: str) -> None:
    assert parse_options({"mask": text, "exact_resize": text}) == Options(
        mask=True, exact_resize=True
    )


@pytest.mark.parametrize("text", ["false", "False", "0", "NO", "off"])
def test_false_in_every_spelling(text: str) -> None:
    assert parse_options({"expand": text}) == Options(expand=False)


@pytest.mark.parametrize("name", ["mask", "exact_resize", "expand", "return_base64"])
@pytest.mark.parametrize("text", ["maybe", "2", "ｔｒｕｅ", "t", " "])
def test_a_flag_that_is_neither(name: str, text: str) -> None:
    message = f"'{name}' must be a boolean (true or false), got: '{text}'"
    assert fault(**{name: text}) == [FieldError(name, message)]


def test_return_base64_changes_nothing() -> None:
    assert parse_options({"return_base64": "true"}) == Options()


@pytest.mark.parametrize(
    ("text", "format_"), [("PNG", "png"), ("Webp", "webp"), ("jpg", "jpeg"), ("bmp", "bmp")]
)
def test_a_format_in_any_case(text: str, format_: str) -> None:
    assert parse_options({"format": text}).format == format_


def test_an_unknown_format_is_echoed_as_sent() -> None:
    message = "Invalid format 'GiF'. Allowed formats: PNG, JPEG, WEBP, BMP"
    assert fault(format="GiF") == [FieldError("format", message)]


@pytest.mark.parametrize("text", ["#abc", "#ABCD", "#a1b2c3", "#A1B2C3D4", "RebeccaPurple"])
def test_a_colour_is_taken(text: str) -> None:
    assert parse_options({"bg_color": text}).bg_color == text


def test_a_bad_colour() -> None:
    message = "Invalid color format '#12345'. Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA"
    assert fault(bg_color="#12345") == [FieldError("bg_color", message)]


def test_a_mask_has_no_background() -> None:
    message = "Cannot use 'mask=true' together with 'bg_color'. Choose one or the other."
    assert fault(mask="true", bg_color="red") == [FieldError("mask", message)]


def test_echoed_values_are_cut_at_64_characters() -> None:
    assert fault(w="x" * 500)[0].message == f"'w' must be an integer, got: '{'x' * 64}'"


def test_errors_of_grammar_and_of_range_come_in_one_order() -> None:
    everything_wrong = {
        "return_base64": "?", "expand": "?", "exact_resize": "?", "mask": "?",
        "bg_color": "?", "format": "?", "angle": "999", "h": "?", "w": "99999",
    }  # fmt: skip
    assert [error.field for error in fault(**everything_wrong)] == [
        "w", "h", "angle", "format", "bg_color", "mask", "exact_resize", "expand", "return_base64",
    ]  # fmt: skip
