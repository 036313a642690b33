"""The card of a model as a page in Markdown, in the order of Model Cards.

Source: Mitchell et al., Model Cards for Model Reporting, https://arxiv.org/abs/1810.03993.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from training.number_tables import meanings, number_tables, table, tables_of

Card = Mapping[str, Any]

# The free licences that a picture may have here, each with its text; None where it needs none.
FREE_LICENCES: Final = {
    "public domain": None,
    "CC0 1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC BY 2.0": "https://creativecommons.org/licenses/by/2.0/",
    "CC BY 3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
}


def page(card: Card, in_a_browser: str) -> str:
    """Return the page of a packaged card. in_a_browser: Markdown, with links as from docs/."""
    sections = {
        "Known failures": _failures(card),
        "What it is for": _uses(card),
        "The model": _details(card),
        "Numbers": _numbers(card),
        "Speed": _speed(card),
        "Data and their licences": _data(card),
        "Training": _training(card),
        "Limits": _list(card["limits"]),
        "In a browser": in_a_browser.strip(),
        "Photos on this page": _credits(card),
    }
    parts = [_head(card), *(f"## {title}\n\n{text}" for title, text in sections.items())]
    return "\n\n".join(parts) + "\n"


def _head(card: Card) -> str:
    name = card["name"]
    return "\n\n".join(
        (
            f"<!-- Written by `python -m training.card`; change training/cards/{name}.toml. -->",
            f"# The model: {name}",
            card["description"] + ".",
            *_pictures(card, card["results"]),
        )
    )


def _pictures(card: Card, shown: Sequence[Card]) -> list[str]:
    """Return paragraphs; what has no picture is a sentence alone."""
    titles = {one["name"]: one["title"] for one in card["pictures"]}
    return [
        f"![{titles[one['picture']]}: photo and cut-out](model/{one['picture']}.webp)\\\n"
        f"{one['caption']}"
        if "picture" in one
        else one["caption"]
        for one in shown
    ]


def shown_pictures(card: Card) -> list[str]:
    """Return the names of the pictures on the page, in its order."""
    shown = [*card["results"], *card["known_failures"]]
    return list(dict.fromkeys(one["picture"] for one in shown if "picture" in one))


def _failures(card: Card) -> str:
    return "\n\n".join(_pictures(card, card["known_failures"]))


def _uses(card: Card) -> str:
    return f"{_list(card['intended_use'])}\n\nNot for:\n\n{_list(card['out_of_scope'])}"


def _details(card: Card) -> str:
    rows = [
        ["file", f"`{card['file']}`, {card['bytes']:,} bytes"],
        ["sha256", f"`{card['digest'].removeprefix('sha256:')}`"],
        ["licence", card["licence"]],
        ["source", card["source"]],
        ["architecture", card["architecture"]],
        ["input", card["input_text"]],
        ["output", card["output_text"]],
    ]
    return table(("", ""), rows)


def _numbers(card: Card) -> str:
    baseline = card["baseline"]
    parts = [card["evaluation"], *number_tables(card["name"], card["numbers"], baseline)]
    return "\n\n".join([*parts, _list(meanings(card["numbers"]))])


def _speed(card: Card) -> str:
    return "\n\n".join([card["speed"], *tables_of("one inference", card["numbers"].get("speed"))])


def _data(card: Card) -> str:
    rows = [
        [f"`{one['folder']}`", f"{one['count']:,}", one["what"], one["licence"], one["use"]]
        for one in card["data"]
    ]
    head = ("source", "images", "what", "licence as stated", "used for")
    return f"{card['data_text']}\n\n{table(head, rows)}"


def _training(card: Card) -> str:
    training = card["training"]
    rows = [
        [
            one["name"],
            f"[{one['recipe']}](../{one['recipe']})" if "recipe" in one else "–",
            one["starts_from"],
            f"{one['seconds'] / 60:.0f} min",
            f"{one['samples']:,}",
            one["machine"],
        ]
        for one in training["stages"]
    ]
    head = ("stage", "recipe", "starts from", "time", "samples", "on")
    texts = ("loss", "optimiser", "augmentation")
    facts = [f"{key.capitalize()}: {training[key]}" for key in texts]
    return f"{table(head, rows)}\n\n{_list(facts)}"


def _credits(card: Card) -> str:
    pictures = {one["name"]: one for one in card["pictures"]}
    rows = [
        [one["title"], one["author"], _licence(one["licence"]), one["source"]]
        for one in (pictures[name] for name in shown_pictures(card))
    ]
    changes = (
        "Each was scaled down, some were cropped, and the cut-out was put beside it. The pictures "
        "keep the licence of their photo."
    )
    return f"{changes}\n\n{table(('photo', 'by', 'licence', 'found in'), rows)}"


def _licence(name: str) -> str:
    """Return a free licence with a link to its text; raises KeyError when it is none of them."""
    text = FREE_LICENCES[name]
    return name if text is None else f"[{name}]({text})"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
