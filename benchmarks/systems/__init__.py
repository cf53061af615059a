"""The systems that are measured. A new one needs a package here, and a name below.

The modules of a package are named for the scripts that use them:

  cases     NAMES of its cases, `grid` of compare.py's and `telling`, `more`, `compiled` and SHORT
            of accelerator.py's, and the `arrays` of a case, which both sides get
  ours      JAX: `stage_of` a case for training, `forward_of` for use, `synthesise` to a file, of
            which a system without such cases leaves some out
  twin      PyTorch, imported by twin.py alone: `networks` of a case, `torch_arrays` of variables of
            ours, and a function for each kind of its cases
  right     `steps` and `synthesis`, whose numbers right.py compares
  learning  `learn`, which trains on drawn clips and measures what was learned
"""

import importlib
from typing import Any

NAMES = ("lumierenet", "temporal_gan")


def modules(name: str) -> dict[str, Any]:
    """Returns the module of this name of each system, by system."""
    return {system: importlib.import_module(f"{__name__}.{system}.{name}") for system in NAMES}


def module_of(case: str, name: str) -> Any:
    """Returns the module of this name of the system that has cases named `case`."""
    for system, cases in modules("cases").items():
        if case in cases.NAMES:
            return importlib.import_module(f"{__name__}.{system}.{name}")
    raise LookupError(f"no system has a case '{case}'")
