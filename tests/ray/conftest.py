"""What the tests with a real Ray share; Ray itself is never imported here."""

import sys
from pathlib import Path

# The load and the look at the books are those of every other fault.
sys.path.append(str(Path(__file__).parents[1] / "faults"))
