"""Every string that we show exists in every language. After a change of strings:

cd src/openrembg/server
python -m django makemessages -l fa -l id -l ja -l ko --no-location --no-obsolete --no-wrap
python -m django compilemessages --ignore=.venv
"""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import allauth
import django
import pytest
from django.utils.translation.template import templatize

SERVER = Path(__file__).parents[2] / "src" / "openrembg" / "server"
LANGUAGES = ("fa", "id", "ja", "ko")
# English is what the strings are in; its catalogue holds what we say otherwise than others.
CATALOGUES = ("en", *LANGUAGES)
FUNCTIONS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
LINES = r'((?:".*"\n?)+)'
ENTRY = rf"^msgid {LINES}msgstr {LINES}"
PLURAL = rf"^msgid {LINES}msgid_plural {LINES}msgstr\[0\] {LINES}"


def in_code(source: str) -> Iterator[str]:
    """Yield the strings that Python code marks."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in FUNCTIONS:
            yield from (ast.literal_eval(word) for word in node.args[:1] if is_text(word))


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def in_template(source: str) -> Iterator[str]:
    """Yield the strings that a template marks."""
    pattern = r"(?:gettext|\b_)\(\s*(?:u?\"((?:[^\"\\]|\\.)*)\"|u?'((?:[^'\\]|\\.)*)')"
    for match in re.finditer(pattern, templatize(source)):
        quoted = f'"{match[1]}"' if match[1] is not None else f"'{match[2]}'"
        yield ast.literal_eval(quoted)


def marked() -> set[str]:
    found: set[str] = set()
    for path in SERVER.rglob("*.py"):
        found |= set(in_code(path.read_text("utf-8")))
    for path in (SERVER / "templates").rglob("*.*"):
        found |= set(in_template(path.read_text("utf-8")))
    return found


def catalogue(folder: Path, language: str) -> dict[str, str]:
    with (folder / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        known = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    plain = {key: text for key, text in known.items() if isinstance(key, str)}
    return plain | {key[0]: text for key, text in known.items() if key[1:] == (0,)}


def written(language: str) -> dict[str, str]:
    """Return what the .po file says; fuzzy entries are not wanted at all."""
    text = (SERVER / "locale" / language / "LC_MESSAGES" / "django.po").read_text("utf-8")
    assert "fuzzy" not in text
    assert "#~" not in text
    entries = re.findall(ENTRY, text, re.MULTILINE)
    known = {unquoted(one): unquoted(texts) for one, texts in entries}
    plurals = re.findall(PLURAL, text, re.MULTILINE)
    return known | {unquoted(one): unquoted(first) for one, _many, first in plurals}


def unquoted(lines: str) -> str:
    return "".join(ast.literal_eval(line) for line in lines.splitlines())


def test_the_strings_are_found() -> None:
    found = marked()
    assert {"Mails about my usage", "This cannot be undone.", "API key"} <= found
    assert "Your address is <bdi>%(email)s</bdi>." in found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_string_is_translated(language: str) -> None:
    known = written(language)
    assert marked() - set(known) == set()
    assert [key for key, text in known.items() if not text] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_left_over(language: str) -> None:
    assert set(written(language)) - marked() - {""} == set()


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_translation_has_the_same_placeholders(language: str) -> None:
    for key, text in written(language).items():
        for pattern in (r"%\(\w+\)s", r"</?\w+>"):
            assert sorted(re.findall(pattern, key)) == sorted(re.findall(pattern, text)), key


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_compiled_file_says_what_the_written_one_says(language: str) -> None:
    assert catalogue(SERVER, language) == written(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_strings_of_allauth_are_translated_too(language: str) -> None:
    folder = Path(allauth.__path__[0])
    english = (folder / "locale" / "en" / "LC_MESSAGES" / "django.po").read_text("utf-8")
    pairs = re.findall(r'^msgid ((?:".*"\n)+)msgstr ', english, re.MULTILINE)
    wanted = {unquoted(key) for key in pairs} - {""}
    assert len(wanted) > 300
    assert wanted - set(catalogue(folder, language)) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_django_says_of_passwords_and_fields_is_translated(language: str) -> None:
    django_folder = Path(django.__path__[0])
    known = set(catalogue(django_folder / "conf", language))
    known |= set(catalogue(django_folder / "contrib" / "auth", language))
    known |= set(catalogue(SERVER, language))
    said = set(in_code((django_folder / "contrib/auth/password_validation.py").read_text()))
    said |= {"This field is required.", "Enter a valid email address."}
    assert {key for key in said if key not in known and not key.endswith("characters.")} == set()


def test_our_english_says_otherwise_only_what_somebody_says() -> None:
    folder = Path(allauth.__path__[0])
    theirs = (folder / "locale" / "en" / "LC_MESSAGES" / "django.po").read_text("utf-8")
    pairs = re.findall(r'^msgid ((?:".*"\n)+)msgstr ', theirs, re.MULTILINE)
    said = marked() | {unquoted(key) for key in pairs} | {"Enter a valid email address."}
    ours = written("en")
    assert set(ours) - said - {""} == set()
    assert [key for key, text in ours.items() if not text or key == text] == []
