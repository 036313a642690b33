"""Print what is generated from the code and kept in the repository.

    python -m openrembg.server.describe openapi > openapi.json
    python -m openrembg.server.describe settings > docs/settings.md
    python -m openrembg.server.describe metrics > docs/metrics.md

Tests compare these files with this output.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

import django

from openrembg.server.environment import About, described

_INTRODUCTION: Final = """\
# Settings of the server

All settings come from the environment. An empty value means the default. A value that makes no
sense stops the server at start-up with a sentence that says why. Where a file is named, it may
hold the value instead, for instance as a container's secret; one trailing line break is ignored.

| Setting | Kind | Default | What it does |
|---|---|---|---|
"""

_COMMAND_LINE: Final = """
The command line reads the model, provider and folder settings too. `openrembg models pull` alone
reads `OPENREMBG_MODELS_URL`, the folder on the web that holds the models' files; by default it is
the publisher's release.
"""

_METRICS: Final = """\
# What `/metrics` tells

`GET /metrics` answers in Prometheus' text format. It asks for no key, so let the proxy keep it from
strangers. Whichever process of a server is asked answers for all of its processes; servers are
asked one by one. Counters begin at 0 when a server starts, and go on when one of its processes is
replaced. No label holds what a client sent.

[deploy/prometheus/alerts.yaml](../deploy/prometheus/alerts.yaml) has alerts, [alerts.md](alerts.md)
what to do about each, and [deploy/grafana/openrembg.json](../deploy/grafana/openrembg.json) is a
dashboard: tests ask a Prometheus all that it asks, but no Grafana has shown it yet.
[tracing.md](tracing.md) tells of single requests.

```yaml
scrape_configs:
  - job_name: openrembg
    static_configs:
      - targets: ["10.0.0.11:8000", "10.0.0.12:8000"]
```

A histogram `NAME` has the series `NAME_bucket`, `NAME_sum` and `NAME_count`.

| Metric | Kind | Labels | What it tells |
|---|---|---|---|
"""


def openapi() -> str:
    """Return the API description of a server with default settings, as JSON."""
    from openrembg.server.api import api
    from openrembg.server.description import servers

    schema = api.get_openapi_schema()
    schema["servers"] = servers(None)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def settings() -> str:
    """Return the table of settings in Markdown."""
    from openrembg.server.settings import Settings

    return _INTRODUCTION + "".join(_row(about) for about in described(Settings)) + _COMMAND_LINE


def metrics() -> str:
    """Return the table of metrics in Markdown."""
    from openrembg.server.observability.exposition import families

    rows = (
        (
            f"`{one.name}`",
            one.kind,
            "; ".join(f"`{name}`: {of}" for name, of in one.labels),
            one.text,
        )
        for one in families()
    )
    return _METRICS + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main(arguments: list[str]) -> int:
    """Print the one that is asked for; return the exit code."""
    if len(arguments) != 1 or arguments[0] not in _PAGES:
        sys.stderr.write(f"Usage: python -m openrembg.server.describe {'|'.join(_PAGES)}\n")
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openrembg.server.settings")
    django.setup()
    sys.stdout.write(_PAGES[arguments[0]]())
    return 0


def _row(about: About) -> str:
    name = f"`{about.name}`"
    if about.secret:
        name += f" or `{about.name}_FILE`"
    return f"| {name} | {about.kind} | {about.default} | {about.description} |\n"


_PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "openapi": openapi,
    "settings": settings,
    "metrics": metrics,
}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
