"""Photos with their mattes, drawn, augmented and composited for training.

The archives of the data folder stay compressed in memory: 150 MB instead of some 3 GB of pixels,
for about a millisecond of decoding a pair.
"""

import hashlib
import random
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

Photo = NDArray[np.uint8]  # [h, w, 3], sRGB
Alpha = NDArray[np.uint8]  # [h, w], 255 is foreground
Sample = tuple[Photo, Alpha]

HELD_OUT_SHARE: Final = 0.04
# Photos without masks count false alarms: a larger share of them, since there are few.
HELD_OUT_PHOTO_SHARE: Final = 0.20
# Rooms are empty; scenes may have a car in them, so that they only serve as backgrounds.
EMPTY_SOURCE: Final = "photos/houses_rooms"
BACKGROUND_SOURCES: Final = (EMPTY_SOURCE, "photos/scenes_labelme_lalonde")

EMPTY_PHOTO_CHANCE: Final = 0.02
EMPTY_PLAIN_CHANCE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Item:
    """One image of the archives: name such as `pairs/duts_tr/06826`, encoded photo and mask."""

    name: str
    photo: bytes
    mask: bytes | None

    @property
    def source(self) -> str:
        """The folder that the image comes from, such as `pairs/duts_tr`."""
        return self.name.rpartition("/")[0]

    def pair(self) -> Sample:
        """Return photo uint8[h, w, 3] and matte uint8[h, w]; raises ValueError without a mask."""
        if self.mask is None:
            raise ValueError(f"{self.name} has no mask")
        return self.rgb(), self._decode(self.mask, cv2.IMREAD_GRAYSCALE)

    def rgb(self) -> Photo:
        """Return the photo, uint8[h, w, 3]."""
        return np.ascontiguousarray(self._decode(self.photo, cv2.IMREAD_COLOR)[..., ::-1])

    def cutout(self) -> Sample:
        """Return colours uint8[h, w, 3] and alpha uint8[h, w] of a file with transparency."""
        bgra = self._decode(self.photo, cv2.IMREAD_UNCHANGED)
        return np.ascontiguousarray(bgra[..., 2::-1]), np.ascontiguousarray(bgra[..., 3])

    def _decode(self, data: bytes, how: int) -> NDArray[np.uint8]:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), how)
        if image is None:
            raise ValueError(f"{self.name} does not decode")
        return np.asarray(image, np.uint8)


@dataclass(frozen=True, slots=True)
class Archive:
    """All images, split for good into those to train on and those held out."""

    pairs: tuple[Item, ...]
    backgrounds: tuple[Item, ...]
    cutouts: tuple[Item, ...]
    held_out: tuple[Item, ...]
    held_out_photos: tuple[Item, ...]


def read_archive(folder: Path) -> Archive:
    """Read every zip of a folder; raises FileNotFoundError when it has none."""
    files = read_files(folder)
    items = [
        Item(name[: -len(".webp")], data, files.get(name[: -len(".webp")] + ".mask.webp"))
        for name, data in files.items()
        if not name.endswith(".mask.webp")
    ]
    pairs = [item for item in items if item.mask is not None]
    photos = [item for item in items if item.source in BACKGROUND_SOURCES]
    return Archive(
        pairs=tuple(i for i in pairs if not is_held_out(i.name, HELD_OUT_SHARE)),
        backgrounds=tuple(i for i in photos if not is_held_out(i.name, HELD_OUT_PHOTO_SHARE)),
        cutouts=tuple(item for item in items if item.name.startswith("cutouts/")),
        held_out=tuple(item for item in pairs if is_held_out(item.name, HELD_OUT_SHARE)),
        held_out_photos=tuple(i for i in photos if is_held_out(i.name, HELD_OUT_PHOTO_SHARE)),
    )


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of all zips of a folder by name, in the order of their names."""
    archives = sorted(folder.glob("*.zip"))
    if not archives:
        raise FileNotFoundError(f"there is no zip in {folder}")
    files: dict[str, bytes] = {}
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            files |= {name: archive.read(name) for name in archive.namelist()}
    return {name: files[name] for name in sorted(files) if name.endswith(".webp")}


def is_held_out(name: str, share: float) -> bool:
    """Return whether the hash of an image's name puts it into the share that is not trained on."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64


def to_network(photo: Photo, side: int) -> NDArray[np.float32]:
    """Return a photo uint8[h, w, 3] squeezed to float32[3, side, side] in 0..1, as it ships."""
    square = resize(photo, (side, side))
    return np.ascontiguousarray(square.transpose(2, 0, 1), np.float32) / np.float32(255)


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an image at size (width, height): area interpolation down, linear up."""
    shrinks = image.shape[1] > size[0] or image.shape[0] > size[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


@dataclass(frozen=True, slots=True)
class Mixture:
    """What samples are made of; the recipe's fields of the same names tell more."""

    source_power: float = 0.5
    paste_chance: float = 0.25
    swap_chance: float = 0.12
    least_zoom: float = 0.55


class Samples(IterableDataset[tuple[Tensor, Tensor]]):
    """An endless stream of samples: photo uint8[3, side, side], matte uint8[1, side, side]."""

    def __init__(self, archive: Archive, side: int, seed: int, mixture: Mixture) -> None:
        self.maker = SampleMaker(archive, side, mixture)
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield samples, others in each worker."""
        cv2.setNumThreads(1)
        worker = get_worker_info()
        rng = random.Random(f"{self.seed} {worker.id if worker else 0}")  # noqa: S311
        while True:
            photo, alpha = self.maker.make(rng)
            planes = np.ascontiguousarray(photo.transpose(2, 0, 1))
            yield torch.from_numpy(planes), torch.from_numpy(alpha[None])


def batches(
    archive: Archive, side: int, batch: int, seed: int, workers: int, mixture: Mixture
) -> Iterator[list[Tensor]]:
    """Yield batches endlessly: photos uint8[n, 3, side, side], mattes uint8[n, 1, side, side]."""
    loader = DataLoader(
        Samples(archive, side, seed, mixture),
        batch_size=batch,
        num_workers=workers,
        prefetch_factor=3 if workers else None,
    )
    return iter(loader)


class SampleMaker:
    """Draws an image by the weight of its source and makes a sample of it."""

    def __init__(self, archive: Archive, side: int, mixture: Mixture = Mixture()) -> None:
        self.archive = archive
        self.side = side
        self.mixture = mixture
        self.weights = _cumulative_weights(archive.pairs, mixture.source_power)
        self.cutout_weights = _cumulative_weights(archive.cutouts, 0.5)
        self.empties = tuple(i for i in archive.backgrounds if i.source == EMPTY_SOURCE)

    def make(self, rng: random.Random) -> Sample:
        """Return a new sample: photo uint8[side, side, 3], matte uint8[side, side]."""
        photo, alpha = self.draw(rng)
        photo, alpha = warp(photo, alpha, self.side, rng, self.mixture.least_zoom)
        return degrade(recolour(photo, rng), rng), alpha

    def draw(self, rng: random.Random) -> Sample:
        """Return a photo and its matte at any size: labelled, composited or empty."""
        chance = rng.random()
        if chance < EMPTY_PLAIN_CHANCE:
            return _unlabelled(plain(self.side, rng))
        if chance < EMPTY_PLAIN_CHANCE + EMPTY_PHOTO_CHANCE and self.empties:
            return _unlabelled(rng.choice(self.empties).rgb())
        if rng.random() < self.mixture.paste_chance and self.archive.cutouts:
            return self.composite(rng)
        photo, alpha = rng.choices(self.archive.pairs, cum_weights=self.weights)[0].pair()
        if rng.random() < self.mixture.swap_chance:
            return blend(self.background(photo.shape[1], photo.shape[0], rng), photo, alpha), alpha
        return photo, alpha

    def background(self, width: int, height: int, rng: random.Random) -> Photo:
        """Return a background uint8[height, width, 3]: a place, or in one of four a plain one."""
        if rng.random() < 0.25 or not self.archive.backgrounds:
            return resize(plain(max(width, height), rng), (width, height))
        photo = resize(rng.choice(self.archive.backgrounds).rgb(), (width, height))
        return photo[:, ::-1].copy() if rng.random() < 0.5 else photo

    def composite(self, rng: random.Random) -> Sample:
        """Return one to three cut-outs pasted on a background."""
        ground = self.background(self.side, self.side, rng)
        alpha = np.zeros(ground.shape[:2], np.uint8)
        for _ in range(rng.choices((1, 2, 3), (70, 20, 10))[0]):
            drawn = rng.choices(self.archive.cutouts, cum_weights=self.cutout_weights)[0].cutout()
            colours, matte = place(*drawn, self.side, rng)
            colours = harmonise(colours, matte, ground, rng)
            ground = blend(cast_shadow(ground, matte, rng), colours, matte)
            alpha = np.maximum(alpha, matte)
        return ground, alpha


def _unlabelled(photo: Photo) -> Sample:
    return photo, np.zeros(photo.shape[:2], np.uint8)


def _cumulative_weights(items: tuple[Item, ...], power: float) -> list[float]:
    sizes = Counter(item.source for item in items)
    return list(np.cumsum([sizes[item.source] ** -power for item in items]))


def plain(side: int, rng: random.Random) -> Photo:
    """Return an image of nothing, uint8[side, side, 3]: one colour, a gradient, noise or bands."""
    noise = np.random.default_rng(rng.getrandbits(32))
    grey = rng.random() < 0.4
    ends = noise.integers(0, 256, (2, 2, 1 if grey else 3)).repeat(3 if grey else 1, 2)
    kind = rng.choice(("colour", "gradient", "clouds", "bands"))
    if kind == "colour":
        corners = np.broadcast_to(ends[:1, :1], (2, 2, 3))
    elif kind == "gradient":
        corners = ends
    elif kind == "clouds":
        cells = rng.randint(3, 24)
        corners = ends[0, 0] + noise.normal(0, rng.uniform(5, 50), (cells, cells, 1))
    else:
        corners = noise.integers(0, 256, (1, rng.randint(2, 6), 1)).repeat(3, 2)
        corners = corners.transpose(1, 0, 2) if rng.random() < 0.5 else corners
    small = corners.clip(0, 255).astype(np.float32)
    image = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    grain = noise.normal(0, rng.choice((0, 1, 4, 12)), (side, side, 1))
    return np.asarray((image + grain).clip(0, 255), np.uint8)


def blend(ground: Photo, colours: Photo, alpha: Alpha) -> Photo:
    """Return colours over ground, all of one size."""
    share = alpha[..., None].astype(np.float32) / np.float32(255)
    mixed = ground + (colours.astype(np.float32) - ground) * share
    return np.asarray(mixed + np.float32(0.5), np.uint8)


def place(colours: Photo, alpha: Alpha, side: int, rng: random.Random) -> Sample:
    """Return a cut-out scaled and moved on an empty square: uint8[side, side, 3] and [side, side].

    Its long side takes 25 to 105 % of the square, and up to a fifth of it may lie outside.
    """
    height, width = alpha.shape
    scale = side * rng.uniform(0.25, 1.05) / max(height, width)
    flip = -1 if rng.random() < 0.5 else 1
    turn, half = rng.uniform(-0.2, 0.2), side / 2
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = linear @ np.diag([flip * scale * rng.uniform(0.85, 1.15), scale])
    reach = np.array([abs(half - width * scale * 0.3), abs(half - height * scale * 0.3)])
    centre = half + reach * np.array([rng.uniform(-1, 1), rng.uniform(-1, 1)])
    shift = centre - linear @ np.array([width / 2, height / 2])
    matrix = np.column_stack([linear, shift]).astype(np.float32)
    # Colours under alpha 0 are arbitrary: mix colours by their alpha, or edges take them on.
    share = alpha[..., None].astype(np.float32) / np.float32(255)
    stacked = np.dstack([colours * share, alpha.astype(np.float32)])
    moved = cv2.warpAffine(stacked, matrix, (side, side), flags=cv2.INTER_LINEAR)
    matte = moved[..., 3]
    pure = moved[..., :3] * (np.float32(255) / np.maximum(matte, 1)[..., None])
    return np.asarray(pure.clip(0, 255), np.uint8), np.asarray(matte + np.float32(0.5), np.uint8)


def harmonise(colours: Photo, alpha: Alpha, ground: Photo, rng: random.Random) -> Photo:
    """Move the colours' mean a little, or half way at most, towards the ground's, and soften."""
    inside = cv2.mean(colours, mask=(alpha > 127).astype(np.uint8))[:3]
    gap = ground.reshape(-1, 3).mean(0) - np.array(inside)
    moved = colours + (gap * rng.choice((0, 0, 0.15, 0.3, 0.5))).astype(np.float32)
    image = moved.clip(0, 255).astype(np.uint8)
    return image if rng.random() < 0.6 else np.asarray(cv2.GaussianBlur(image, (3, 3), 0), np.uint8)


def cast_shadow(ground: Photo, alpha: Alpha, rng: random.Random) -> Photo:
    """Darken the ground by a blurred, flattened and moved shape; shadows are not foreground."""
    if rng.random() < 0.55:
        return ground
    side = alpha.shape[0]
    rows = np.flatnonzero(alpha.max(1) > 127)
    foot = float(rows[-1]) if len(rows) else side
    flat, lean = rng.choice((1.0, rng.uniform(0.1, 0.5))), rng.uniform(-0.6, 0.6)
    shift = (rng.uniform(-0.05, 0.05) * side - lean * foot, rng.uniform(0, 0.04) * side)
    matrix = np.array([[1, lean, shift[0]], [0, flat, foot * (1 - flat) + shift[1]]], np.float32)
    shape = cv2.warpAffine(alpha, matrix, (side, side))
    shape = cv2.GaussianBlur(shape, (0, 0), rng.uniform(0.005, 0.04) * side)
    light = 1 - shape[..., None].astype(np.float32) * np.float32(rng.uniform(0.2, 0.7) / 255)
    return np.asarray(ground * light, np.uint8)


def warp(
    photo: Photo, alpha: Alpha, side: int, rng: random.Random, least_zoom: float = 0.55
) -> Sample:
    """Return both flipped, turned, stretched, cropped and squeezed to a square of `side`."""
    height, width = alpha.shape
    zoom = rng.uniform(least_zoom, 1.15)
    aspect = np.sqrt(rng.uniform(0.8, 1.25))
    turn = np.radians(rng.uniform(-12, 12)) if rng.random() < 0.5 else 0.0
    flip = -1 if rng.random() < 0.5 else 1
    window = np.array([width * zoom * aspect, height * zoom / aspect])
    slack = np.abs(np.array([width, height]) - window) / 2
    centre = np.array([width, height]) / 2 + slack * [rng.uniform(-1, 1), rng.uniform(-1, 1)]
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = rotation @ np.diag(
        np.array([flip, 1]) * window / side
    )  # from the square into the photo
    shift = centre - linear @ np.array([side / 2, side / 2])
    matrix = np.column_stack([linear, shift]).astype(np.float32)
    border = rng.choice((cv2.BORDER_REFLECT_101, cv2.BORDER_CONSTANT))
    if border == cv2.BORDER_REFLECT_101 and _touches_edge(alpha):
        border = cv2.BORDER_REPLICATE  # a reflected subject would be a second one
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shade = rng.choice((0, 0, 128, 255))
    square = cv2.warpAffine(
        photo, matrix, (side, side), flags=how, borderMode=border, borderValue=(shade,) * 3
    )
    matte = cv2.warpAffine(alpha, matrix, (side, side), flags=how, borderMode=border)
    return np.asarray(square, np.uint8), np.asarray(matte, np.uint8)


def _touches_edge(alpha: Alpha) -> bool:
    return bool(max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) > 127)


def recolour(photo: Photo, rng: random.Random) -> Photo:
    """Return the photo with another gamma, contrast, brightness and balance, seldom grey."""
    steps = np.linspace(0, 1, 256)[:, None]
    gains = np.array([rng.uniform(0.88, 1.12) for _ in range(3)]) * rng.uniform(0.8, 1.2)
    curve = (steps ** rng.uniform(0.7, 1.4) - 0.5) * gains + 0.5 + rng.uniform(-0.08, 0.08)
    table = (curve * 255).clip(0, 255).astype(np.uint8)[:, None]
    photo = np.asarray(cv2.LUT(photo, table), np.uint8)
    if rng.random() < 0.85:
        return photo
    grey = cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(grey, np.uint8)


def degrade(photo: Photo, rng: random.Random) -> Photo:
    """Return the photo blurred, moved, noisy or compressed, each of them now and then."""
    if rng.random() < 0.12:
        photo = np.asarray(cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.4, 1.6)), np.uint8)
    if rng.random() < 0.05:
        photo = np.asarray(cv2.blur(photo, rng.choice(((7, 1), (1, 7), (5, 1)))), np.uint8)
    if rng.random() < 0.15:
        grain = np.random.default_rng(rng.getrandbits(32))
        noise = grain.standard_normal(photo.shape, np.float32) * np.float32(rng.uniform(2, 14))
        photo = (photo + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, rng.randint(25, 90)]
        coded = cv2.imencode(".jpg", photo, quality)[1]
        photo = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return photo
