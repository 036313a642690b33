"""Prepare data folder and database in a process of its own, so that the supervisor stays small."""

import os

from openrembg.server.start import in_a_sentence, prepare_data


def main() -> int:
    """Prepare, and return 0, or 2 after a sentence on standard error."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "openrembg.server.settings"
    return in_a_sentence(_prepare)


def _prepare() -> int:
    # Not before: these read the settings.
    import django

    from openrembg.server.settings import OPENREMBG

    django.setup()
    prepare_data(OPENREMBG)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
