"""What infer.py's flags ask for: to look at a video, to speak live, or to write videos."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lumiere_jax.errors import UserError

PATHS = ("workdir", "certificate", "key", "image")
FACES = ("image", "paste")


def answer(given: Mapping[str, Any]) -> int:
    """Does what the flags, as far as they are `given`, ask for, says so, and gives the exit code.

    Raises:
      UserError: flags that do not go together, and see `verify`, `live` and `infer`.
    """
    if "verify" in given:
        if others := [name for name in given if name != "verify"]:
            raise UserError(f"--verify only looks at a video: leave --{others[0]} out.")
        from lumiere_jax.workflows.verify import verify

        return 0 if verify(Path(given["verify"])) else 1
    if not all(given.get(name) for name in ("workdir", "audio", "out")):
        raise UserError("name --workdir, --audio and --out (see --help).")
    if ("certificate" in given) != ("key" in given):
        raise UserError("name --certificate and --key together, or neither.")
    own: dict[str, Any] = {k: Path(v) if k in PATHS else v for k, v in given.items()}
    if own.pop("live", False):
        if of_faces := [name for name in FACES if name in own]:
            raise UserError(f"--live speaks with a lecturer's model: leave --{of_faces[0]} out.")
        from lumiere_jax.workflows.live import live

        print(live(**own), file=sys.stderr)
    else:
        from lumiere_jax.workflows.infer import infer

        own["out"] = Path(own["out"])
        frames = infer(**own)
        print(f"{own['out']}: {frames} frames, marked as synthetic.")
    return 0
