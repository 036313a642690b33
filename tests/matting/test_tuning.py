"""Process-wide settings are made where the process is ours, and nowhere else."""

import subprocess
import sys


def test_only_a_process_of_ours_changes_opencvs_threads() -> None:
    code = (
        "import cv2; cv2.setNumThreads(3); import openrembg.matting.pipeline; "
        "print(cv2.getNumThreads()); from openrembg.matting.tuning import tune_process; "
        "tune_process(); print(cv2.getNumThreads())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["3", "1"]
