"""All that `training.evaluate` prints as tables in Markdown, also what has no name here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

Numbers = Mapping[str, Any]

# What `training.evaluate` calls its measures, what the page does, and what they mean.
MEASURES: Final = {
    "n": ("photos", ""),
    "mae": ("MAE", "mean absolute difference of matte and mask, 0 to 1; lower is better"),
    "iou": ("IoU", "intersection over union at alpha 0.5, mean of the photos; higher is better"),
    "edge_iou": ("edge IoU", "IoU of the pixels at most 5 px from the mask's boundary"),
    "max_f": ("max-F", "F-measure (β² 0.3) at its best threshold; higher is better"),
    "missed": ("missed", "share of the photos of subjects in which none was found"),
    "duts": ("DUTS-TR", ""),
    "false_alarms": ("false alarms", "photos of places with so much foreground, as a share"),
    "empty_share": ("empty share", "share of plain pictures that is taken for foreground"),
    "edges": ("edge IoU", ""),
    "before": ("before refinement", ""),
    "after": ("as it ships", ""),
    "at_320": ("at 320 px", ""),
    "native": ("at the mask's size", ""),
    "large": ("photo at its own size", "each pixel of the photo is one that the refiner sees"),
    "precision": ("precision that ships", ""),
    "f32_mae": ("MAE in f32", ""),
    "difference": ("mean difference", "between mattes in the precision that ships and in f32"),
    "detection": ("whether there is a subject", ""),
    "both": ("as it ships, by both of these", ""),
    "subject": ("by the model's own opinion", ""),
    "area": ("by at least 0.1 % of foreground", ""),
    "rooms": ("rooms", "share of photos of empty rooms in which a subject was found"),
    "streets": ("streets", "the same of street scenes, some of which have one"),
    "plain": ("plain pictures", "the same of pictures of one colour, gradients and noise"),
    "ms_1_thread": ("ms, one thread", ""),
    "ms_2_threads": ("ms, two threads", ""),
}


def number_tables(name: str, numbers: Numbers, baseline: Mapping[str, Any]) -> list[str]:
    """Return paragraphs and tables with every number but those of speed.

    name: the model's. baseline: `name` and `numbers` of an earlier model.
    """
    groups = [key for key, value in numbers.items() if _is_group(value)]
    parts = [_compared(name, numbers, baseline), _by_source(numbers, groups, baseline)]
    for key, value in numbers.items():
        if key not in {*groups, "sources", "speed"}:
            parts += tables_of(_label(key), value)
    return parts


def meanings(numbers: Numbers) -> list[str]:
    """Return a sentence for each measure that is there and needs one."""
    present = set(_keys(_measured(numbers)))
    return [f"{name}: {what}." for key, (name, what) in MEASURES.items() if what and key in present]


def tables_of(title: str, values: object) -> list[str]:
    """Return paragraphs with all numbers under a title, however deep they lie."""
    if not isinstance(values, Mapping):
        return []
    values = _measured(values)
    flat = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    rows = {key: value for key, value in values.items() if _is_flat(value)}
    parts = [f"{title[:1].upper()}{title[1:]}:"] if flat or rows else []
    if flat:
        parts.append(table(("", ""), [[_label(key), _cell(value)] for key, value in flat.items()]))
    if rows:
        columns = _columns(rows.values())
        cells = [[_label(key), *_cells(of, columns)] for key, of in rows.items()]
        parts.append(table(("", *map(_label, columns)), cells))
    for key, value in values.items():
        if key not in flat and key not in rows:
            parts += tables_of(f"{title}, {_label(key)}", value)
    return parts


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; raises ValueError when a cell would break it."""
    if any("|" in cell or "\n" in cell for row in (head, *rows) for cell in row):
        raise ValueError("a cell of a table holds '|' or a line break")
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _compared(name: str, numbers: Numbers, baseline: Mapping[str, Any]) -> str:
    """Return the table of the numbers of all photos beside those of an earlier model."""
    before = baseline["numbers"]
    rows = [
        [_label(key), _cell(value), _cell(before.get(key))]
        for key, value in numbers.items()
        if not isinstance(value, Mapping)
    ]
    return table(("all photos", name, baseline["name"]), rows)


def _by_source(numbers: Numbers, groups: Sequence[str], baseline: Mapping[str, Any]) -> str:
    """Return the table of the summaries of some of the photos."""
    sources, before = numbers["sources"], baseline["numbers"]
    # A group of one source says what the source says.
    several = [key for key in groups if numbers[key] not in sources.values()]
    rows = [(_label(key), numbers[key], before.get(key)) for key in several]
    rows += [(_label(key), of, before.get("sources", {}).get(key)) for key, of in sources.items()]
    columns = _columns(of for _, of, _ in rows)
    head = ("photos of", *map(_label, columns), f"IoU of {baseline['name']}")
    return table(
        head,
        [[label, *_cells(of, columns), _cell((old or {}).get("iou"))] for label, of, old in rows],
    )


def _measured(values: Numbers) -> dict[str, Any]:
    """Return the numbers without what was not measured."""
    cleaned = {
        key: _measured(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
    }
    return {key: value for key, value in cleaned.items() if value is not None and value != {}}


def _is_group(value: object) -> bool:
    """Say whether a value is a summary of some of the photos."""
    return isinstance(value, Mapping) and {"n", "iou"} <= value.keys()


def _is_flat(value: object) -> bool:
    return isinstance(value, Mapping) and not any(isinstance(x, Mapping) for x in value.values())


def _keys(values: Numbers) -> Iterator[str]:
    for key, value in values.items():
        yield key
        if isinstance(value, Mapping):
            yield from _keys(value)


def _columns(rows: Iterable[Numbers]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _cells(row: Numbers, columns: Sequence[str]) -> list[str]:
    return [_cell(row.get(column)) for column in columns]


def _label(key: str) -> str:
    if key in MEASURES:
        return MEASURES[key][0]
    return f"`{key}`" if "/" in key else key.replace("_", " ")


def _cell(value: object) -> str:
    return "–" if value is None else str(value)
