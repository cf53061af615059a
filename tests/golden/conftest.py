"""`hashed` is imported by name, here and by make_golden.py, which runs outside of the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
