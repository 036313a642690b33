"""Run a network on a photo: any function of ours, or an ONNX file in one of the runtimes."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from training.data import Photo, to_network

Floats = NDArray[np.float32]
# float32[3, side, side] in 0..1 to alpha float32[side, side]
Network = Callable[[Floats], Floats]
Runtime = Literal["openvino-bf16", "openvino-f32", "onnxruntime"]

THREADS: Final = 2
NOISE_FLOOR: Final = 0.02


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network says of a photo.

    alpha: float32[side, side] in 0..1. subject: how sure it is of a clear subject, 0..1; None when
    it does not say.
    """

    alpha: Floats
    subject: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A network ready to run, the side that it takes, and what runs it.

    run: float32[3, side, side] in 0..1 to the answer.
    """

    run: Callable[[Floats], Answer]
    side: int
    runtime: str

    def look(self, photo: Photo) -> Answer:
        """Return the answer to a photo uint8[h, w, 3] of any size, finished as it ships."""
        answer = self.run(to_network(photo, self.side))
        return Answer(finished(answer.alpha), answer.subject)


def matte_at(network: Network, side: int, photo: Photo) -> Floats:
    """Return the matte at the photo's size, float32[h, w] in 0..1."""
    alpha = finished(network(to_network(photo, side)))
    return resize_matte(alpha, photo.shape[1], photo.shape[0])


def finished(alpha: Floats) -> Floats:
    """Return alpha without the network's noise, as the package has it (matting/runtime.py)."""
    return np.asarray(((alpha - NOISE_FLOOR) / (1 - 2 * NOISE_FLOOR)).clip(0, 1), np.float32)


def resize_matte(alpha: Floats, width: int, height: int) -> Floats:
    """Return float32[height, width] in 0..1: an axis that grows cubic, one that shrinks by area.

    So does the package (openrembg/matting/upsample.py).
    """
    wide = cv2.resize(alpha, (width, alpha.shape[0]), interpolation=_kind(alpha.shape[1], width))
    full = cv2.resize(wide, (width, height), interpolation=_kind(alpha.shape[0], height))
    return np.asarray(full.clip(0, 1), np.float32)


def _kind(old: int, new: int) -> int:
    return int(cv2.INTER_AREA if new < old else cv2.INTER_CUBIC)


def shipped_runtime() -> Runtime:
    """Return what the package computes with on this machine."""
    if importlib.util.find_spec("openvino") is None:
        return "onnxruntime"
    return "openvino-bf16" if _has_bf16(_openvino().Core()) else "openvino-f32"


def exact_runtime(runtime: Runtime) -> Runtime | None:
    """Return the runtime that computes the same in f32; None when this one does."""
    return "openvino-f32" if runtime == "openvino-bf16" else None


def onnx_network(path: Path, threads: int = THREADS) -> tuple[Network, int]:
    """Return a network that runs an ONNX file of ours in onnxruntime, and its side in pixels."""
    model = load_model(path, "onnxruntime", threads)
    return lambda planes: model.run(planes).alpha, model.side


def load_model(path: Path, runtime: Runtime, threads: int = THREADS) -> Model:
    """Return an ONNX file of ours, ready to run on CPU.

    Its first output is alpha; one named `subject`, float32[1, 1], is how sure it is of a subject.
    Raises ValueError when this CPU does not compute in the runtime's precision.
    """
    if runtime == "onnxruntime":
        return _in_onnxruntime(path, threads)
    return _in_openvino(path, runtime, threads)


def _in_onnxruntime(path: Path, threads: int) -> Model:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (photo,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]

    def run(planes: Floats) -> Answer:
        return _answer(names, session.run(None, {photo.name: planes[None]}))

    return Model(run, int(photo.shape[2]), "onnxruntime")


def _in_openvino(path: Path, runtime: Runtime, threads: int) -> Model:
    core = _openvino().Core()
    precision = runtime.removeprefix("openvino-")
    if precision == "bf16" and not _has_bf16(core):
        raise ValueError("this CPU has no bf16; choose --runtime openvino-f32")
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    request = compiled.create_infer_request()
    # A port may have several names.
    names = ["subject" if "subject" in port.names else "" for port in compiled.outputs]

    def run(planes: Floats) -> Answer:
        results = request.infer([planes[None]], share_inputs=True)
        return _answer(names, [results[port] for port in compiled.outputs])

    return Model(run, int(compiled.input(0).shape[2]), runtime)


def _answer(names: list[str], outputs: list[Floats]) -> Answer:
    """Return the answer as a copy that outlives the next inference."""
    subject = float(outputs[names.index("subject")][0, 0]) if "subject" in names else None
    return Answer(np.array(outputs[0][0, 0], np.float32), subject)


def _has_bf16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _openvino() -> Any:
    """Import OpenVINO without its telemetry, which would call a server at once."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
