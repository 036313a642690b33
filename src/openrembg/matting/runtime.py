"""The Matter of this process: OpenVINO on CPU, else onnxruntime on CPU or CUDA.

What really computes is never guessed: `provider` says it, and a provider that was asked for and
does not start is an error, not a silent fallback.
"""

import importlib.util
import math
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from openrembg.matting.decode import Source
from openrembg.matting.errors import InferenceFailed, ProviderUnavailable
from openrembg.matting.layer import Pixels
from openrembg.matting.matter import Matte
from openrembg.matting.parallel import available_cores
from openrembg.matting.weights import Card, Weights

Provider = Literal["auto", "openvino", "onnxruntime", "cuda"]
Precision = Literal["auto", "f32", "bf16"]
Floats = NDArray[np.float32]

SUBJECT_CHANCE: Final = 0.5
SUBJECT_ALPHA: Final = 0.5
SUBJECT_SHARE: Final = 0.001
NOISE_FLOOR: Final = 0.02
PLAIN_DEVIATION: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a network says. alpha: float32[h, w] in 0..1. subject: the chance that there is one."""

    alpha: Floats
    subject: float


@dataclass(frozen=True, slots=True)
class _Engine:
    """A compiled network. run: uint8[side, side, 3] to its answer, thread-safe."""

    provider: str
    precision: str
    run: Callable[[Pixels], _Answer]


class LocalMatter:
    """Makes mattes in this process; safe to call from several threads at once."""

    def __init__(self, card: Card, engine: _Engine) -> None:
        self._card = card
        self._engine = engine

    @property
    def model(self) -> str:
        """The model's name."""
        return self._card.name

    @property
    def provider(self) -> str:
        """What really computes, for instance `OpenVINO CPU bf16`."""
        return f"{self._engine.provider} {self._engine.precision}"

    @property
    def precision(self) -> str:
        """The precision that the network is computed in."""
        return self._engine.precision

    def matte(self, source: Source) -> Matte:
        """Return the matte of a photo.

        Raises UndecodableImage when the pixels do not decode, InferenceFailed when the runtime
        fails.
        """
        return self.matte_of(source.scaled(self._card.input.side))

    def matte_of(self, pixels: Pixels) -> Matte:
        """Return the matte of a photo that is already uint8[side, side, 3]."""
        answer = self._engine.run(pixels)
        clear = answer.subject >= SUBJECT_CHANCE
        return Matte(answer.alpha, clear and is_subject(answer.alpha) and not is_plain(pixels))

    def warm_up(self) -> float:
        """Run once on a grey photo and return the seconds that a second run takes."""
        side = self._card.input.side
        grey = np.full((side, side, 3), 127, np.uint8)
        self.matte_of(grey)
        start = time.perf_counter()
        self.matte_of(grey)
        return time.perf_counter() - start


def load_matter(
    weights: Weights,
    *,
    provider: Provider = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
) -> LocalMatter:
    """Verify, compile and warm up a model.

    threads: cores for one inference, None for all that the container may use.
    Raises CorruptModel, ProviderUnavailable, InferenceFailed.
    """
    chosen = _choose() if provider == "auto" else provider
    start = {"openvino": _openvino, "onnxruntime": _onnxruntime, "cuda": _cuda}[chosen]
    data = weights.read()
    try:
        engine = start(data, weights.card, precision, threads or available_cores())
        matter = LocalMatter(weights.card, engine)
        matter.warm_up()
    except ProviderUnavailable:
        raise
    except Exception as error:  # each runtime has errors of its own
        raise InferenceFailed(f"The model '{weights.card.name}' does not run: {error}") from error
    return matter


def prepare(pixels: Pixels, card: Card) -> Floats:
    """Return float32[1, 3, side, side] as the card wants it from uint8[side, side, 3]."""
    top = max(int(pixels.max()), 1) if card.input.divide_by_max else 255
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    planes *= np.float32(1.0 / top)
    if card.input.mean != (0.0, 0.0, 0.0):
        planes -= np.array(card.input.mean, np.float32)[:, None, None]
    if card.input.std != (1.0, 1.0, 1.0):
        planes /= np.array(card.input.std, np.float32)[:, None, None]
    return planes[None]


def finish(raw: Floats, card: Card) -> Floats:
    """Return what the network gave as alpha in 0..1, a new float32[h, w].

    raw: float32[1, 1, h, w]. The outermost 2 % at either end are noise of the network: they are
    cut, so that empty background is really empty and interiors are really solid.
    """
    alpha: Floats = raw.reshape(raw.shape[-2:])
    if card.output.activation == "sigmoid":
        alpha = np.float32(1.0) / (np.float32(1.0) + np.exp(-alpha))
    low, high = 0.0, 1.0
    if card.output.stretch:
        low, high = float(alpha.min()), float(alpha.max())
    noise = NOISE_FLOOR * (high - low)
    alpha = alpha - np.float32(low + noise)
    alpha *= np.float32(1 / max(high - low - 2 * noise, 1e-6))
    return np.clip(alpha, 0.0, 1.0, out=alpha)


def is_subject(alpha: Floats) -> bool:
    """Return whether enough of the photo is foreground to call it a subject: 0.1 %."""
    return bool(np.count_nonzero(alpha > SUBJECT_ALPHA) >= SUBJECT_SHARE * alpha.size)


def is_plain(pixels: Pixels) -> bool:
    """Return whether a photo is of one colour: no network's opinion on that is worth a credit.

    Every eighth row is looked at first: few photos get past it.
    """
    return all(cv2.meanStdDev(part)[1].max() < PLAIN_DEVIATION for part in (pixels[::8], pixels))


def _choose() -> Literal["openvino", "onnxruntime", "cuda"]:
    """Return CUDA where onnxruntime-gpu is installed, else OpenVINO, else onnxruntime."""
    if importlib.util.find_spec("onnxruntime") is not None and "CUDAExecutionProvider" in (
        _import_onnxruntime().get_available_providers()
    ):
        return "cuda"
    if importlib.util.find_spec("openvino") is not None:
        return "openvino"
    return "onnxruntime"


def _openvino(data: bytes, card: Card, precision: Precision, threads: int) -> _Engine:
    openvino = _import_openvino()
    core = openvino.Core()
    chosen = _openvino_precision(core, precision)
    network = core.read_model(data)
    takes_pixels = not card.input.divide_by_max
    compiled = core.compile_model(
        _taking_pixels(openvino, network, card) if takes_pixels else network,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": chosen,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        },
    )
    outputs = [compiled.output(card.output.name or 0)]
    if card.output.subject is not None:
        outputs.append(compiled.output(card.output.subject))
    idle: deque[Any] = deque()  # as many requests as ever ran at once, whatever the threads

    def run(pixels: Pixels) -> _Answer:
        photo = pixels[None] if takes_pixels else prepare(pixels, card)
        try:
            request = idle.pop()
        except IndexError:
            request = compiled.create_infer_request()
        try:
            results = request.infer([photo], share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise InferenceFailed(f"OpenVINO failed: {error}") from error
        answer = _read(*(results[output] for output in outputs), card=card)
        idle.append(request)
        return answer

    return _Engine("OpenVINO CPU", chosen, run)


def _taking_pixels(openvino: Any, network: Any, card: Card) -> Any:
    """Return the network with the card's normalisation inside: it takes uint8[1, side, side, 3].

    That spares a float copy of the photo, and moves a quarter of the bytes.
    """
    process = openvino.preprocess.PrePostProcessor(network)
    photo = process.input(0)
    side = card.input.side
    photo.tensor().set_element_type(openvino.Type.u8).set_shape([1, side, side, 3])
    photo.tensor().set_layout(openvino.Layout("NHWC"))
    photo.model().set_layout(openvino.Layout("NCHW"))
    steps = photo.preprocess().convert_layout("NCHW").convert_element_type(openvino.Type.f32)
    steps.mean([255 * mean for mean in card.input.mean])
    steps.scale([255 * std for std in card.input.std])
    return process.build()


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which would call a server at once.

    Where the telemetry cannot be imported, OpenVINO takes a stub of its own instead.
    """
    silenced = "openvino_telemetry" not in sys.modules
    if silenced:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError as error:
        raise ProviderUnavailable(
            "OpenVINO is not installed: set OPENREMBG_PROVIDER=onnxruntime"
        ) from error
    finally:
        if silenced:
            del sys.modules["openvino_telemetry"]
    return openvino


def _openvino_precision(core: Any, precision: Precision) -> Literal["f32", "bf16"]:
    """Return the precision to compile for: bf16 where the CPU multiplies it in hardware.

    Measured on v0 at 320 px (docs/decisions): 16.2 to 10.6 ms with AVX512-BF16, 14.8 to 6.8 ms
    with AMX, and as close to the truth as f32. Elsewhere bf16 is emulated and slower.
    """
    native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and not native:
        raise ProviderUnavailable("This CPU has no bf16: set OPENREMBG_PRECISION=f32 or auto")
    if precision == "auto":
        return "bf16" if native else "f32"
    return precision


def _onnxruntime(data: bytes, card: Card, precision: Precision, threads: int) -> _Engine:
    return _onnxruntime_engine(data, card, precision, threads, "CPUExecutionProvider", "CPU")


def _cuda(data: bytes, card: Card, precision: Precision, threads: int) -> _Engine:
    return _onnxruntime_engine(data, card, precision, threads, "CUDAExecutionProvider", "CUDA")


def _onnxruntime_engine(
    data: bytes, card: Card, precision: Precision, threads: int, provider: str, device: str
) -> _Engine:
    runtime = _import_onnxruntime()
    if precision == "bf16":
        raise ProviderUnavailable("onnxruntime computes in f32: set OPENREMBG_PRECISION=f32")
    if provider not in runtime.get_available_providers():
        raise ProviderUnavailable(
            f"{device} is not available: install the 'gpu' extra on a machine with an NVIDIA driver"
        )
    if provider == "CUDAExecutionProvider" and hasattr(runtime, "preload_dlls"):
        runtime.preload_dlls()  # CUDA and cuDNN as the gpu extra brings them
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = runtime.InferenceSession(data, options, providers=[provider])
    if session.get_providers()[0] != provider:
        raise ProviderUnavailable(
            f"{device} does not start on this machine, although onnxruntime has it: check the "
            "driver and the CUDA libraries, or set OPENREMBG_PROVIDER=openvino"
        )
    photo = card.input.name or session.get_inputs()[0].name
    alpha = card.output.name or session.get_outputs()[0].name
    names = [alpha] if card.output.subject is None else [alpha, card.output.subject]

    def run(pixels: Pixels) -> _Answer:
        try:
            results = session.run(names, {photo: prepare(pixels, card)})
        except RuntimeError as error:
            raise InferenceFailed(f"onnxruntime failed: {error}") from error
        return _read(*results, card=card)

    return _Engine(f"onnxruntime {device}", "f32", run)


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderUnavailable("onnxruntime is not installed") from error
    return onnxruntime


def _read(alpha: Floats, subject: Floats | None = None, *, card: Card) -> _Answer:
    """Return a network's outputs, finished and copied: the next inference reuses their memory.

    A network that says nothing of the subject leaves the decision to its matte.
    Raises InferenceFailed when they are not of the shape that the card promises, or not numbers.
    """
    if alpha.ndim != 4 or alpha.shape[:2] != (1, 1):
        raise InferenceFailed(f"The network's alpha is {list(alpha.shape)}, not [1, 1, h, w]")
    if subject is not None and subject.size != 1:
        raise InferenceFailed(f"The network's subject is {list(subject.shape)}, not one number")
    chance = 1.0 if subject is None else float(subject.item())
    if not math.isfinite(float(alpha.sum()) + chance):
        raise InferenceFailed("The network's answer has values that are not numbers")
    return _Answer(finish(alpha, card), chance)


__all__ = [
    "LocalMatter",
    "Precision",
    "Provider",
    "available_cores",
    "load_matter",
]
