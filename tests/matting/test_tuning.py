"""Process-wide settings are made where the process is ours, and nowhere else."""

import subprocess
import sys


def test_only_a_process_of_ours_changes_opencvs_threads_and_its_log() -> None:
    code = (
        "import cv2; cv2.setNumThreads(3); log = cv2.utils.logging; "
        "log.setLogLevel(log.LOG_LEVEL_INFO); import openrembg.matting.pipeline; "
        "print(cv2.getNumThreads(), log.getLogLevel() == log.LOG_LEVEL_INFO); "
        "from openrembg.matting.tuning import tune_process; "
        "tune_process(); print(cv2.getNumThreads(), log.getLogLevel() == log.LOG_LEVEL_SILENT)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["3", "True", "1", "True"]
