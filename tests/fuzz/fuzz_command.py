"""./run fuzz: post a folder of files to a server, or let the library decode broken pictures."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from campaign import GIB, Campaign, Limits, Stopped, last_lines
from corpus import Corpus, NoCorpus, read_corpus
from mutating import mutate
from own_server import OwnServer, own_server
from posting import NoConnection, Target
from quoting import shown

from services import NotStarted

# Where --mutate keeps what it finds, in the repository but not of it.
FINDINGS: Final = Path(__file__).resolve().parents[2] / ".fuzz"
# Beyond these, a wait does not fit into the system's calls and a thread into the machine.
MOST: Final = 100_000.0
MOST_JOBS: Final = 256


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line; ends the program when it makes no sense."""
    parser = argparse.ArgumentParser(prog="./run fuzz", description=__doc__)
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="files to post")
    parser.add_argument(
        "--server", metavar="URL", type=_url, help="post there instead of to one of our own"
    )
    parser.add_argument("--api-key", metavar="KEY", help="a member's key on that server")
    parser.add_argument(
        "--limit-s", metavar="S", type=_amount, default=10.0, help="for an answer (10)"
    )
    parser.add_argument(
        "--limit-gb", metavar="GB", type=_amount, default=1.5, help="for our server (1.5)"
    )
    parser.add_argument(
        "--jobs", metavar="N", type=_jobs, default=1, help="requests at once, up to 256 (1)"
    )
    parser.add_argument(
        "--save",
        metavar="FOLDER",
        type=_folder,
        help="copy each finding there (with --mutate: .fuzz in the repository)",
    )
    parser.add_argument("--mutate", action="store_true", help="break pictures, post nothing")
    parser.add_argument(
        "--minutes", metavar="M", type=_amount, default=5.0, help="with --mutate (5)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="with --mutate (0)")
    given = parser.parse_args(words)
    if given.mutate == (given.folder is not None):
        parser.error("give either DIR or --mutate")
    if bool(given.server) != bool(given.api_key):
        parser.error("--server and --api-key go together")
    return given


def _amount(word: str) -> float:
    value = float(word)
    if not 0 < value <= MOST:  # which nan is not either
        raise argparse.ArgumentTypeError(f"{word} is not above 0 and at most {MOST:.0f}")
    return value


def _jobs(word: str) -> int:
    value = int(word)
    if not 1 <= value <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{word} is not from 1 to {MOST_JOBS}")
    return value


def _url(word: str) -> str:
    url = word if "://" in word else f"http://{word}"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise argparse.ArgumentTypeError(f"{word} is no address such as http://127.0.0.1:8000")
    return url.rstrip("/")


def _folder(word: str) -> Path:
    """Make the folder now: later there may be findings to lose."""
    folder = Path(word)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{word!r} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{word!r} cannot be written to")
    return folder


def main(words: Sequence[str]) -> int:
    """Run, and return 0 when nothing was found, 1 when something was, 2 for a bad call.

    130 is for who stopped it (Ctrl-C), once the summary is printed.
    """
    given = arguments(words)
    try:
        if given.mutate:
            return _mutate(given)
        return _post(given, read_corpus(given.folder))
    except NoCorpus as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


def _mutate(given: argparse.Namespace) -> int:
    folder = given.save or FINDINGS
    found = mutate(given.minutes * 60, given.seed, _say, folder)
    if found:
        _say(f"{len(found)} findings are in {shown(folder)}.")
    return 1 if found else 0


def _post(given: argparse.Namespace, corpus: Corpus) -> int:
    if given.server:
        return _campaign(given, corpus, Target(given.server, given.api_key), None)
    folder = tempfile.TemporaryDirectory(prefix="openrembg-fuzz-")
    try:
        with folder as name, own_server(Path(name), may_die=True) as ours:
            return _campaign(given, corpus, ours.target, ours)
    except (NotStarted, AssertionError) as error:
        _say(f"Our own server does not start. {last_lines(str(error))}")
        return 1


def _campaign(
    given: argparse.Namespace, corpus: Corpus, target: Target, ours: OwnServer | None
) -> int:
    limits = Limits(given.limit_s, int(given.limit_gb * GIB), given.jobs)
    try:
        before = target.usage()
    except (OSError, ValueError, NoConnection) as error:
        _say(f"There is no such server, or it does not know the key: {error}")
        return 2
    campaign = Campaign(target, limits, ours, given.save)
    try:
        campaign.run(corpus)
        _compare(campaign, before)
    except Stopped as error:
        campaign.complain(str(error))
    except KeyboardInterrupt:
        _say("Stopping…")
        raise
    finally:
        print(campaign.table(len(corpus.files)), flush=True)
    return 1 if campaign.findings else 0


def _compare(campaign: Campaign, before: dict[str, int]) -> None:
    try:
        campaign.check_credits(before, campaign.target.usage())
        if campaign.own is not None:
            campaign.own.verify_ledger()
    except (OSError, ValueError, NoConnection) as error:
        campaign.complain(f"the server does not tell its counters: {error}")
    except AssertionError as error:
        campaign.complain(str(error))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Whoever ends this program ends the server that it started, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # once more while it was stopping
        sys.exit(130)
