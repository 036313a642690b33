"""Whether a network finds a subject: where there is one, and where there is none."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from training.data import BACKGROUND_SOURCES, EMPTY_SOURCE, Item, plain
from training.inference import Answer, Model
from training.score import mean

PLACES: Final = {"rooms": EMPTY_SOURCE, "streets": BACKGROUND_SOURCES[1]}
PLAIN: Final = "plain"
PLAIN_PICTURES: Final = 60
FALSE_ALARM_SHARES: Final = (0.01, 0.05, 0.20)
SUBJECT: Final = 0.5
SUBJECT_SHARE: Final = 0.001


@dataclass(frozen=True, slots=True)
class Sight:
    """What one photo's answer says of a subject.

    foreground: the share of the photo, 0..1. subject: the file's own opinion, 0..1, if any.
    """

    source: str
    foreground: float
    subject: float | None

    @property
    def has_area(self) -> bool:
        """Whether at least 0.1 % is foreground, as the package asks of any network."""
        return self.foreground >= SUBJECT_SHARE

    @property
    def has_opinion(self) -> bool:
        """Whether the file itself sees a subject, or has no opinion."""
        return self.subject is None or self.subject >= SUBJECT

    @property
    def has_subject(self) -> bool:
        """Whether the package finds a subject: both."""
        return self.has_area and self.has_opinion


def sight(source: str, answer: Answer) -> Sight:
    """Return what an answer says of a subject."""
    return Sight(source, float((answer.alpha > 0.5).mean()), answer.subject)


def look_at_places(model: Model, photos: Iterable[Item]) -> list[Sight]:
    """Return the sights of photos without a subject."""
    return [sight(item.source, model.look(item.rgb())) for item in photos]


def look_at_plain(model: Model) -> list[Sight]:
    """Return the sights of pictures of nothing, the same each time for one side."""
    rng = random.Random(0)  # noqa: S311 (no secret)
    pictures = (plain(model.side, rng) for _ in range(PLAIN_PICTURES))
    return [sight(PLAIN, model.look(picture)) for picture in pictures]


def false_alarms(places: list[Sight]) -> dict[str, dict[str, float]]:
    """Return by source the share of photos of which more than 1, 5, 20 % is foreground."""
    groups: dict[str, list[float]] = defaultdict(list)
    for one in places:
        groups[one.source].append(one.foreground)
    return {
        source: {f">{limit:.0%}": mean(x > limit for x in of) for limit in FALSE_ALARM_SHARES}
        for source, of in sorted(groups.items())
    }


def detection(subjects: list[Sight], places: list[Sight], plains: list[Sight]) -> dict[str, object]:
    """Return the shares missed and found wrongly, as it ships, by the file's opinion and by area.

    None for the opinion when the file has none.
    """
    groups = {
        name: [one for one in places if one.source == source] for name, source in PLACES.items()
    } | {PLAIN: plains}

    def shares(is_found: Callable[[Sight], bool]) -> dict[str, dict[str, float | None]]:
        missed = share([not is_found(one) for one in subjects])
        found = {name: share([is_found(one) for one in of]) for name, of in groups.items()}
        return {"missed": missed, **found}

    opinionated = all(one.subject is not None for one in subjects + places + plains)
    return {
        "both": shares(lambda one: one.has_subject),
        "subject": shares(lambda one: one.has_opinion) if opinionated else None,
        "area": shares(lambda one: one.has_area),
    }


def share(found: list[bool]) -> dict[str, float | None]:
    """Return how many of n; None of none."""
    return {"share": mean(found) if found else None, "n": len(found)}
