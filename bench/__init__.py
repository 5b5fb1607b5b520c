"""What gitcoord costs, as ratios in one run: `python -m bench`. Not part of the package; uses the tests' remotes and stories."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
