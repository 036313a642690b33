from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from rmbg_client import send

from fakes.steady_matter import SteadyMatter


def read(client: Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample by its name and labels."""
    text = client.get("/metrics").content.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(**pairs: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs.items()))


def test_requests_are_counted_by_route_and_status(client: Client) -> None:
    key = ("openrembg_requests_total", labels(route="/rmbg", status="400"))
    before = read(client).get(key, 0.0)
    send(client, ("w", "abc"))
    assert read(client)[key] == before + 1


def test_unknown_paths_share_one_label(client: Client) -> None:
    for number in range(3):
        client.get(f"/nothing-{number}")
    assert not [name for name in read(client) if "nothing" in str(name)]


def test_each_stage_of_a_cut_out_is_timed(client: Client) -> None:
    def counts() -> list[float]:
        samples = read(client)
        return [
            samples.get(("openrembg_stage_seconds_count", labels(stage=stage)), 0.0)
            for stage in ("decode", "matte", "compose", "encode")
        ]

    before = counts()
    send(client)
    assert counts() == [number + 1 for number in before]


def test_work_in_flight_and_the_provider_are_visible(client: Client, furnish: Any) -> None:
    matter = SteadyMatter()
    matter.may_end.clear()
    furnish(matter, workers=1)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(lambda: send(Client()))
        matter.started.acquire()
        samples = read(client)
        matter.may_end.set()
        assert job.result().status_code == 200
    assert samples["openrembg_computing", ()] == 1
    assert samples["openrembg_waiting", ()] == 0
    assert samples["openrembg_pixels_in_flight", ()] == 40 * 30
    assert samples["openrembg_ready", ()] == 1
    provider = ("openrembg_provider_info", labels(model="steady", provider="Test CPU f32"))
    assert samples[provider] == 1
