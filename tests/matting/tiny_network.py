"""A network of a few hundred bytes, written without the onnx package, which the tests do without.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, in protobuf's wire format.
"""

import hashlib
from pathlib import Path

from openrembg.matting.weights import Card, InputSpec, OutputSpec, Weights

SIDE = 16
FLOAT = 1
INT, INTS = 2, 7


def mean_network() -> bytes:
    """Return a network whose `alpha` is the mean of the colours, and `subject` the highest value.

    It takes `photo`, float32[1, 3, 16, 16], and gives float32[1, 1, 16, 16] and float32[1, 1].
    """
    nodes = [
        _node("ReduceMean", "photo", "alpha", axes=[1], keepdims=1),
        _node("ReduceMax", "photo", "highest", axes=[1, 2, 3], keepdims=1),
        _node("Flatten", "highest", "subject", axis=1),
    ]
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _field(2, b"mean"),
            _field(11, _tensor_info("photo", 1, 3, SIDE, SIDE)),
            _field(12, _tensor_info("alpha", 1, 1, SIDE, SIDE)),
            _field(12, _tensor_info("subject", 1, 1)),
        ]
    )
    opset = _field(1, b"") + _field(2, 17)
    return _field(1, 8) + _field(7, graph) + _field(8, opset)


def mean_weights(
    folder: Path,
    *,
    name: str | None = "alpha",
    subject: str | None = None,
    stretch: bool = False,
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
    std: tuple[float, float, float] = (1.0, 1.0, 1.0),
    divide_by_max: bool = False,
) -> Weights:
    """Write that network into the folder and return it with a card that says so."""
    data = mean_network()
    path = folder / "mean.onnx"
    path.write_bytes(data)
    card = Card(
        name="mean",
        file="mean.onnx",
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
        bytes=len(data),
        input=InputSpec("photo", SIDE, mean, std, divide_by_max),
        output=OutputSpec(name, "none", stretch, subject=subject),
        licence="Apache-2.0",
        source="this test",
        description="the mean of the colours",
    )
    return Weights(card, path)


def _node(operation: str, taken: str, given: str, **attributes: int | list[int]) -> bytes:
    fields = [
        _field(1, taken.encode()),
        _field(2, given.encode()),
        _field(4, operation.encode()),
        *(_field(5, _attribute(name, value)) for name, value in attributes.items()),
    ]
    return b"".join(fields)


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return _field(1, name.encode()) + _field(3, value) + _field(20, INT)
    return _field(1, name.encode()) + b"".join(_field(8, one) for one in value) + _field(20, INTS)


def _tensor_info(name: str, *shape: int) -> bytes:
    dimensions = b"".join(_field(1, _field(1, length)) for length in shape)
    tensor = _field(1, FLOAT) + _field(2, dimensions)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, value: int | bytes) -> bytes:
    """Return one field: a whole number, or bytes with their length before them."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    head = b""
    while value > 0x7F:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])
