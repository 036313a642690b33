from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from rmbg_client import photo, send

from fakes.steady_matter import SteadyMatter
from openrembg.server.observability.metrics import count_remote_call, count_remote_retry
from services import free_port


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


def test_rare_events_are_there_before_the_first_and_no_series_is_of_a_birth(
    client: Client,
) -> None:
    there = read(client)
    for status in ("500", "503"):
        stripe = labels(route="/api/webhooks/stripe", status=status)
        assert ("openrembg_requests_total", stripe) in there
    for outcome in ("ok", "busy", "lost", "timeout", "undecodable", "failed"):
        assert ("openrembg_remote_call_seconds_count", labels(outcome=outcome)) in there
    assert ("openrembg_spans_total", labels(outcome="lost")) in there
    assert not [name for name, _ in there if name.endswith("_created")]


def test_unknown_paths_share_one_label(client: Client) -> None:
    for number in range(3):
        client.get(f"/nothing-{number}")
    assert not [name for name in read(client) if "nothing" in str(name)]


def test_each_stage_of_a_cut_out_is_timed(client: Client) -> None:
    stages = ("authenticate", "limits", "read", "queue", "decode", "matte", "compose", "encode")

    def counts() -> list[float]:
        samples = read(client)
        return [
            samples.get(("openrembg_stage_seconds_count", labels(stage=stage)), 0.0)
            for stage in (*stages, "settle")
        ]

    before = counts()
    send(client)
    assert counts() == [number + 1 for number in before]


def rise(client: Client, what: Callable[[], object], name: str, **pairs: str) -> float:
    """Return by how much a sample is larger after something was done."""
    key = (name, labels(**pairs))
    before = read(client).get(key, 0.0)
    what()
    return read(client)[key] - before


def test_formats_pixels_and_bytes_of_pictures_are_counted(client: Client) -> None:
    pictures = {"source": "jpeg", "answer": "png", "subject": "found"}

    def ask() -> object:
        return send(client, ("format", "png"), image=("p.jpg", photo(40, 30, "JPEG")))

    assert rise(client, ask, "openrembg_pictures_total", **pictures) == 1
    assert rise(client, ask, "openrembg_picture_pixels_sum") == 1200
    assert rise(client, ask, "openrembg_picture_pixels_bucket", le="100000.0") == 1
    assert rise(client, ask, "openrembg_received_bytes_total") > 300
    answer = ask()
    assert rise(client, ask, "openrembg_sent_bytes_total") >= len(answer.content)  # type: ignore[attr-defined]


def test_a_picture_without_a_subject_is_one_and_gives_its_unit_back(
    client: Client, furnish: Any
) -> None:
    furnish(SteadyMatter(finds=False), anonymous_per_day=5)
    pictures = {"source": "png", "answer": "webp", "subject": "none"}
    assert rise(client, lambda: send(client), "openrembg_pictures_total", **pictures) == 1
    unit = {"event": "released", "source": "anonymous"}
    assert rise(client, lambda: send(client), "openrembg_credits_total", **unit) == 1


def test_errors_are_counted_by_their_codes_and_nothing_that_a_client_sent(
    client: Client, furnish: Any
) -> None:
    def count(code: str, **sent: Any) -> float:
        return rise(client, lambda: send(client, **sent), "openrembg_errors_total", code=code)

    assert count("invalid_request", image=("x.png", b"hunter2")) == 1
    assert count("both_credentials", headers={"x-api-key": "a", "Authorization": "Bearer b"}) == 1
    furnish(anonymous_per_day=0)
    assert count("daily_limit") == 1
    furnish(anonymous_per_minute=0)
    assert count("rate_limited") == 1
    furnish(SteadyMatter(error=ZeroDivisionError()))
    assert count("internal") == 1
    client.get("/hunter2", headers={"X-Request-Id": "hunter2"})
    assert "hunter2" not in client.get("/metrics").content.decode()


def test_a_full_queue_is_counted_with_the_time_in_it(client: Client, furnish: Any) -> None:
    matter = SteadyMatter()
    matter.may_end.clear()
    furnish(matter, workers=1, queue=0)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(lambda: send(Client()))
        matter.started.acquire()
        queued = {"stage": "queue"}
        busy = rise(client, lambda: send(client), "openrembg_errors_total", code="busy")
        asked = rise(client, lambda: send(client), "openrembg_stage_seconds_count", **queued)
        matter.may_end.set()
        assert job.result().status_code == 200
    assert (busy, asked) == (1, 1)


def test_limits_are_there_to_divide_by(client: Client, furnish: Any) -> None:
    furnish(workers=3, queue=17, pixel_budget=9)
    samples = read(client)
    assert samples["openrembg_workers", ()] == 3
    assert samples["openrembg_queue_limit", ()] == 17
    assert samples["openrembg_pixels_limit", ()] == 9_000_000
    build = [dict(of) for name, of in samples if name == "openrembg_build_info"]
    assert [set(one) for one in build] == [{"version", "python"}]


def test_a_redis_that_is_away_is_told(client: Client, furnish: Any) -> None:
    furnish(redis_url=f"redis://127.0.0.1:{free_port()}/0", anonymous_per_minute=100)
    away = ("openrembg_redis_away", labels(use="limits"))
    assert read(client)[away] == 0
    assert send(client).status_code == 200
    assert read(client)[away] == 1


def test_calls_of_a_cluster_are_counted_and_its_replicas_shown(
    client: Client, furnish: Any
) -> None:
    assert ("openrembg_remote_replicas", ()) not in read(client)
    furnish(inference="ray", ray_min_replicas=2)
    samples = read(client)
    assert samples["openrembg_remote_replicas", ()] == 0
    assert samples["openrembg_remote_replicas_least", ()] == 2
    lost = {"outcome": "lost"}
    count = "openrembg_remote_call_seconds_count"
    assert rise(client, lambda: count_remote_call("lost", 0.5), count, **lost) == 1
    assert rise(client, count_remote_retry, "openrembg_remote_retries_total") == 1


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
