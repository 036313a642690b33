import pytest
from benchmarks.models import COMPARED, FOLDER, SHIPPED, measured_weights

from openrembg.matting.weights import Weights, find_weights, read_card

# What rembg scales every photo to for its U²-Net models.
PEER_SIDE = 320


def test_the_model_that_both_sides_run_lies_beside_the_benchmark() -> None:
    card = read_card(FOLDER / f"{COMPARED}.json")

    Weights(card, FOLDER / f"{COMPARED}.onnx").verify()
    assert card.input.side == PEER_SIDE


@pytest.mark.parametrize("name", [COMPARED, SHIPPED])
def test_every_measured_model_is_found(name: str) -> None:
    measured_weights(name).verify()


def test_the_shipped_rows_show_the_model_that_the_package_loads() -> None:
    assert measured_weights(SHIPPED) == find_weights()
