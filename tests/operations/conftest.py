"""What the tests of operating a house share with those of its faults."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "faults"))
