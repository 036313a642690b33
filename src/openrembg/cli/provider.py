"""The option that more than one verb has: what computes the mattes."""

from typing import Annotated, Literal

import typer

ProviderOption = Annotated[
    Literal["auto", "openvino", "onnxruntime", "cuda"],
    typer.Option(
        "--provider",
        envvar="OPENREMBG_PROVIDER",
        case_sensitive=False,
        help="What computes.",
    ),
]
