import pytest

from openrembg.server.removal.answer import safe_stem


@pytest.mark.parametrize(
    ("filename", "stem"),
    [
        ("photo.png", "photo"),
        ("my photo (1).jpeg", "my-photo-1"),
        ("C:\\Users\\me\\cat.bmp", "cat"),
        ("../../etc/passwd", "passwd"),
        ('a"; filename="b.exe', "a-filename-b"),
        ("line\r\nbreak.png", "line-break"),
        ("Crème brûlée.png", "Creme-brulee"),
        ("猫.png", "image"),
        ("", "image"),
        (".png", "png"),
        ("...", "image"),
        ("x" * 300 + ".png", "x" * 100),
    ],
)
def test_a_file_name_becomes_a_safe_stem(filename: str, stem: str) -> None:
    assert safe_stem(filename) == stem
