import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrembg.server.accounts.credentials import (
    ALPHABET,
    CHECKSUM_CHARS,
    PREFIXES,
    RANDOM_CHARS,
    VISIBLE_CHARS,
    Kind,
    Secret,
    fresh,
    parse,
)

KINDS: tuple[Kind, ...] = ("key", "token")
KIND = st.sampled_from(KINDS)
LENGTH = len("orbk_") + RANDOM_CHARS + CHECKSUM_CHARS


@pytest.mark.parametrize(("kind", "prefix"), [("key", "orbk_"), ("token", "orbt_")])
def test_a_fresh_one_has_its_prefix_and_nothing_that_needs_quoting(kind: Kind, prefix: str) -> None:
    text = fresh(kind).text
    assert text.startswith(prefix)
    assert len(text) == LENGTH
    assert set(text.removeprefix(prefix)) <= set(ALPHABET)


@given(KIND)
def test_a_fresh_one_is_read_again(kind: Kind) -> None:
    secret = fresh(kind)
    assert parse(kind, secret.text) == secret


def test_no_two_are_the_same() -> None:
    assert len({fresh("key").text for _ in range(1000)}) == 1000


def test_a_text_never_changes_its_checksum() -> None:
    # Credentials in use must be read by every later version.
    body = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
    assert parse("key", f"orbk_{body}3Dt8yB") == Secret(f"orbk_{body}3Dt8yB")
    assert parse("token", f"orbt_{body}2jYql9") == Secret(f"orbt_{body}2jYql9")


@given(KIND, st.integers(0, LENGTH - 1), st.characters())
def test_the_checksum_catches_every_changed_character(
    kind: Kind, place: int, character: str
) -> None:
    text = fresh(kind).text
    changed = text[:place] + character + text[place + 1 :]
    assert (parse(kind, changed) is None) == (changed != text)


def test_the_checksum_catches_each_character_of_the_alphabet_in_each_place() -> None:
    text = fresh("key").text
    for place in range(LENGTH):
        for character in set(ALPHABET) - {text[place]}:
            assert parse("key", text[:place] + character + text[place + 1 :]) is None


@given(KIND, st.integers(len("orbk_"), LENGTH - CHECKSUM_CHARS - 2))
def test_the_checksum_catches_two_neighbours_that_change_places(kind: Kind, place: int) -> None:
    text = fresh(kind).text
    changed = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert (parse(kind, changed) is None) == (changed != text)


@given(KIND, st.text())
def test_garbage_is_no_credential(kind: Kind, text: str) -> None:
    assert parse(kind, text) is None


@given(KIND, st.text(min_size=LENGTH - 5, max_size=LENGTH - 5))
def test_garbage_behind_the_prefix_is_no_credential(kind: Kind, text: str) -> None:
    assert parse(kind, PREFIXES[kind] + text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "orbk_",
        "orbk_" + "\0" * (LENGTH - 5),
        "orbk_" + "０" * (LENGTH - 5),
        "orbk_" + "\ud800" * (LENGTH - 5),
        "orbk_" + "۱" * (LENGTH - 5),
        "orbk_" * 2_000_000,
    ],
    ids=["empty", "nul", "prefix", "nuls", "wide", "surrogates", "persian", "huge"],
)
def test_what_has_the_wrong_characters_or_length_is_no_credential(text: str) -> None:
    assert parse("key", text) is None


@pytest.mark.parametrize(
    "change", [str.lower, str.upper, "{} ".format, " {}".format, "{}\n".format]
)
def test_what_is_written_otherwise_is_no_credential(change: object) -> None:
    assert callable(change)
    assert parse("key", change(fresh("key").text)) is None


def test_a_token_is_no_key_and_a_key_no_token() -> None:
    assert parse("key", fresh("token").text) is None
    assert parse("token", fresh("key").text) is None


def test_what_is_kept_is_the_sha_256() -> None:
    secret = fresh("key")
    assert secret.digest == hashlib.sha256(secret.text.encode()).hexdigest()


def test_what_is_shown_leaves_nothing_to_guess_from() -> None:
    secret = fresh("key")
    assert secret.prefix == secret.text[:VISIBLE_CHARS]
    assert LENGTH - CHECKSUM_CHARS - VISIBLE_CHARS >= 22, "fewer than 128 bits stay secret"


def test_the_text_is_in_no_representation() -> None:
    secret = fresh("token")
    assert secret.text not in f"{secret!r} {secret}"
