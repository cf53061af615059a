"""What systems' models learn of drawn clips in a minute or two; a part of accelerator.py.

Clips are drawn on the spot into memory, and the product's own loop trains on them. What is measured
is of a narration that was not trained on. Sheets of pictures go to --sheets; `learning` of each
system tells what they show.
"""

import argparse
import contextlib
import sys
from pathlib import Path

import systems
from timed_training import FULL, SHORT

from lumiere_jax.runtime.memory_allocation import claim_accelerator, keep_freed_memory

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="small, for seconds")
    parser.add_argument("--sheets", type=Path, default=Path("runs/learning"), metavar="STEM")
    flags = parser.parse_args()
    keep_freed_memory()
    claim_accelerator()
    with contextlib.redirect_stdout(sys.stderr):  # what the loop says is no row
        for module in systems.modules("learning").values():
            module.learn(SHORT if flags.short else FULL, flags.sheets)
