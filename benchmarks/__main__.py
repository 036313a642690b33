"""`./run bench`: our library and server beside the unmodified peer, as tables."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks import goals
from benchmarks.errors import BenchmarkFailed
from benchmarks.library import latency_table, measure_library, parts_table
from benchmarks.machine import machine_facts, noise
from benchmarks.membership import measure_membership, membership_table
from benchmarks.overhead import measure_overhead, overhead_table
from benchmarks.page_paint import SLOWER, measure_page_paint, page_paint_table
from benchmarks.peer import BENCH, prepare_peer
from benchmarks.processes import measure_processes, processes_table
from benchmarks.rates import (
    CLIENTS,
    big_table,
    measure_big_uploads,
    measure_rates,
    rate_table,
)
from benchmarks.ray_costs import measure_ray_costs, ray_costs_table
from benchmarks.sizing import measure_sizing, sizing_tables
from benchmarks.slow import measure_slow, slow_table
from benchmarks.soak import measure_soak, soak_table
from benchmarks.table import table
from benchmarks.uploads import measure_uploads, uploads_table
from benchmarks.warm_start import measure_warm_start, warm_start_table
from benchmarks.webhooks import CUSTOMERS, measure_webhooks, webhooks_table

PHOTOS: Final = BENCH / "photos"
SIZES: Final = (1.0, 9.0, 40.0, 100.0)
QUICK_SIZES: Final = (1.0, 9.0)
NOTE: Final = """\
Medians, with the lowest and highest value in brackets. Both sides take turns within one run, so
a machine that is busy slows both down; still, trust ratios more than times, and no difference
that is smaller than the spread."""


def sizes(text: str) -> tuple[float, ...]:
    """Parse `1,9,40`; raises argparse's error for anything that is no size up to 100."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"no list of megapixels: {text!r}") from None
    if not all(0 < size <= 100 for size in found):
        raise argparse.ArgumentTypeError("megapixels lie over 0 and up to 100")
    return found


def arguments(words: list[str]) -> argparse.Namespace:
    """Parse the command line; no part named means all that need no extra."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 and 9 MP, few rounds: minutes")
    parser.add_argument("--library", action="store_true", help="latency of one photo at a time")
    parser.add_argument("--server", action="store_true", help="rate and memory of the servers")
    parser.add_argument(
        "--load",
        action="store_true",
        help="the servers at 16 clients, big uploads, many requests, slow clients, processes",
    )
    parser.add_argument("--setup", action="store_true", help="warm start of our server")
    parser.add_argument(
        "--overhead", action="store_true", help="what auth, limits and ledger cost a request"
    )
    parser.add_argument(
        "--membership", action="store_true", help="usage with a million keys in Redis"
    )
    parser.add_argument("--webhooks", action="store_true", help="Stripe's events, years of them")
    parser.add_argument(
        "--pages", action="store_true", help="first paint of the pages (needs Chromium)"
    )
    parser.add_argument(
        "--ray", action="store_true", help="what Ray Serve costs and brings (needs the extra ray)"
    )
    parser.add_argument(
        "--sizing",
        action="store_true",
        help="what a picture costs processor, database and network (needs PostgreSQL and Redis)",
    )
    parser.add_argument("--megapixels", type=sizes, help="sizes of the photos, as 1,9,40,100")
    parser.add_argument("--repeats", type=int, help="measure each size so often")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value here too")
    chosen = parser.parse_args(words)
    if not any(getattr(chosen, part) for part in PARTS):
        vars(chosen).update(dict.fromkeys(PARTS.keys() - WITH_EXTRA, True))
    return chosen


def main() -> int:
    """Measure what was asked for and print it."""
    chosen = arguments(sys.argv[1:])
    facts = machine_facts()
    print(table(("machine", "this run"), list({**facts, "before": noise()}.items())), end="\n\n")
    print(NOTE, end="\n\n", flush=True)
    report: dict[str, Any] = {"machine": facts}
    try:
        if any(getattr(chosen, part) for part in WITH_PEER):
            prepare_peer()
        for part, measure in PARTS.items():
            if getattr(chosen, part):
                report[part] = measure(chosen)
    except BenchmarkFailed as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    print(f"At the end: {noise()}.")
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1))
    return 0


def _library(chosen: argparse.Namespace) -> dict[str, Any]:
    megapixels = chosen.megapixels or (QUICK_SIZES if chosen.quick else SIZES)
    result = measure_library(PHOTOS, megapixels, chosen.repeats or (3 if chosen.quick else None))
    print("## One photo at a time\n")
    for name, facts in result.facts.items():
        versions = ", ".join(" ".join(version) for version in facts["versions"].items())
        print(f"{name}: {facts['provider']}; {versions}")
    print("\n" + latency_table(result.rows), end="\n\n")
    print("### Where our time goes (decode and matte overlap)\n")
    print(parts_table(result.rows), end="\n\n", flush=True)
    return asdict(result)


def _server(chosen: argparse.Namespace) -> dict[str, Any]:
    clients, rounds, seconds = ((1, 16), 1, 4.0) if chosen.quick else (CLIENTS, 3, 6.0)
    return _beside_the_peer(chosen, clients, rounds, seconds)


def _beside_the_peer(
    chosen: argparse.Namespace, clients: tuple[int, ...], rounds: int, seconds: float
) -> dict[str, Any]:
    print("## Concurrent clients, 1 MP each\n")
    streams = measure_rates(PHOTOS, clients, chosen.repeats or rounds, seconds)
    print(rate_table(streams), end="\n\n", flush=True)
    if chosen.quick:
        return {"rates": [asdict(stream) for stream in streams]}
    print("## 16 clients with 50 MP each\n", flush=True)
    big = measure_big_uploads(PHOTOS)
    print(big_table(big), end="\n\n", flush=True)
    return {
        name: [asdict(one) for one in found] for name, found in (("rates", streams), ("big", big))
    }


def _load(chosen: argparse.Namespace) -> dict[str, Any]:
    rounds = 1 if chosen.quick else 3
    beside = {} if chosen.server else _beside_the_peer(chosen, (goals.MANY,), rounds, 4.0)
    return {
        **beside,
        "processes": _processes(chosen),
        "uploads": _uploads(chosen),
        "slow": _slow(chosen),
        "soak": _soak(chosen),
    }


def _processes(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    print("## One process beside two\n", flush=True)
    streams = measure_processes(PHOTOS, quick=chosen.quick)
    print(processes_table(streams), end="\n\n", flush=True)
    return [asdict(stream) for stream in streams]


def _uploads(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    print("## Uploads of 50 MiB from many clients at once\n", flush=True)
    crowds = measure_uploads(PHOTOS, quick=chosen.quick)
    print(uploads_table(crowds), end="\n\n", flush=True)
    return [asdict(crowd) for crowd in crowds]


def _slow(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    print("## Slow clients\n", flush=True)
    held, waits = measure_slow(PHOTOS, quick=chosen.quick)
    print(f"At least {held} slow connections were open while others were measured.\n")
    print(slow_table(waits), end="\n\n", flush=True)
    return [asdict(one) for one in waits]


def _soak(chosen: argparse.Namespace) -> dict[str, Any]:
    print("## Requests of every kind, one after the other\n", flush=True)
    endured = measure_soak(quick=chosen.quick)
    print(f"{endured.requests} requests in {endured.seconds:.0f} s.\n")
    print(soak_table(endured), end="\n\n", flush=True)
    return asdict(endured)


def _overhead(chosen: argparse.Namespace) -> dict[str, Any]:
    print("## What an account costs a request\n")
    measured = measure_overhead(PHOTOS, chosen.repeats or (100 if chosen.quick else 500))
    print(overhead_table(measured), end="\n\n", flush=True)
    return asdict(measured)


def _setup(chosen: argparse.Namespace) -> dict[str, Any]:
    print("## Warm start of our server\n")
    start = measure_warm_start(PHOTOS, chosen.repeats or (2 if chosen.quick else 5))
    print(warm_start_table(start), end="\n\n", flush=True)
    return asdict(start)


def _membership(chosen: argparse.Namespace) -> dict[str, Any]:
    print("## Usage with many keys in Redis\n")
    usage_keys, requests = (100_000, 1000) if chosen.quick else (1_000_000, 5000)
    result = measure_membership(usage_keys, requests)
    print(f"{result.usage_keys} counters; the server looks for those of other tools meanwhile.\n")
    print(membership_table(result), end="\n\n", flush=True)
    return asdict(result)


def _webhooks(chosen: argparse.Namespace) -> dict[str, Any]:
    print("## Stripe's events\n")
    result = measure_webhooks(*((60, 100) if chosen.quick else (60, 1000)))
    print(f"{CUSTOMERS} customers at once, each with {result.past} billing periods before.\n")
    print(webhooks_table(result), end="\n\n", flush=True)
    return asdict(result)


def _pages(chosen: argparse.Namespace) -> dict[str, Any]:
    print("## First paint of the pages\n")
    pages = measure_page_paint(chosen.repeats or (3 if chosen.quick else 7))
    print(f"Milliseconds in a browser that was never here; the phone computes {SLOWER} × slower.\n")
    print(page_paint_table(pages), end="\n\n", flush=True)
    return {"pages": [asdict(page) for page in pages]}


def _ray(chosen: argparse.Namespace) -> dict[str, Any]:
    print("## Mattes by Ray Serve\n", flush=True)
    costs = measure_ray_costs(PHOTOS, quick=chosen.quick)
    print(ray_costs_table(costs), end="\n\n", flush=True)
    return asdict(costs)


def _sizing(chosen: argparse.Namespace) -> dict[str, Any]:
    print("## What a picture costs\n", flush=True)
    found = measure_sizing(PHOTOS, quick=chosen.quick)
    for one in sizing_tables(found):
        print(one, end="\n\n", flush=True)
    return asdict(found)


PARTS: Final = {
    "library": _library,
    "server": _server,
    "load": _load,
    "setup": _setup,
    "membership": _membership,
    "overhead": _overhead,
    "webhooks": _webhooks,
    "pages": _pages,
    "ray": _ray,
    "sizing": _sizing,
}
# Only when asked for: it takes more than the locked requirements.
WITH_EXTRA: Final = frozenset({"ray", "sizing"})
WITH_PEER: Final = ("library", "server", "load", "setup")


if __name__ == "__main__":
    sys.exit(main())
