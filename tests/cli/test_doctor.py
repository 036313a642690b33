"""`openrembg doctor` says what works here, and ends with 1 when something essential does not."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openrembg.cli import app
from openrembg.cli.doctor import free_memory_mib, memory_limit_mib
from openrembg.matting.weights import DEFAULT_MODEL


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["doctor", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout


def line(report: str, subject: str) -> str:
    (found,) = [row for row in report.splitlines() if row[4:].startswith(subject)]
    return found


def test_a_working_machine_gets_every_check_and_0() -> None:
    code, report = call()
    assert code == 0
    assert "!!" not in report
    assert f"{DEFAULT_MODEL}, Apache-2.0, checksum sha256:" in line(report, "model")
    assert line(report, "provider").split()[2] in ("OpenVINO", "onnxruntime")
    assert "1250 x 800 JPEG to WebP in" in line(report, "cut-out")
    for subject in ("version", "WebP encoder", "codecs", "JPEG", "cores", "memory", "data folder"):
        assert line(report, subject)


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        code, report = call("--port", str(busy.getsockname()[1]))
    assert code == 0
    assert "is in use" in line(report, "port")


def test_an_unknown_model_is_essential(tmp_path: Path) -> None:
    code, report = call("--model", "nothing", "--models-dir", str(tmp_path))
    assert code == 1
    assert line(report, "model").startswith("!!")
    assert "There is no model 'nothing' here" in report
    assert line(report, "cores")


def test_a_provider_that_is_not_there_is_essential() -> None:
    code, report = call("--provider", "cuda")
    assert (code, "!!" in report, "Traceback" in report) == (1, True, False)


def test_a_data_folder_that_is_a_file_is_essential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("OPENREMBG_DATA_DIR", str(tmp_path / "file"))
    code, report = call()
    assert code == 1
    assert "cannot be written" in line(report, "data folder")


@pytest.mark.parametrize(
    ("name", "text", "limit"),
    [
        ("memory.max", "1073741824\n", 1024),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "536870912\n", 512),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
    ],
)
def test_the_containers_memory_limit_is_read(
    name: str, text: str, limit: int | None, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert memory_limit_mib(tmp_path) == limit


def test_memory_that_the_system_does_not_tell_is_unknown(tmp_path: Path) -> None:
    assert memory_limit_mib(tmp_path) is None
    assert free_memory_mib(tmp_path / "meminfo") is None
    (tmp_path / "meminfo").write_text("MemTotal: 10 kB\nMemAvailable:  2048 kB\n")
    assert free_memory_mib(tmp_path / "meminfo") == 2
