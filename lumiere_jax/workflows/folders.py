"""Output folders: built aside, put in place whole."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lumiere_jax.errors import UserError, reason
from lumiere_jax.training.loop import lock


@contextmanager
def built_aside(out: Path, marker: str) -> Iterator[Path]:
    """A folder beside `out` that takes its place when the block ends well.

    Until then what `out` held stays; it may be an older result, known by the file `marker`.
    What a killed run left is swept first.

    Raises:
      UserError: `out` holds something else, it cannot be written, or another run is building it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (out / marker).is_file():
        raise UserError(f"--out={out} holds other files: name another folder.")
    folder, old = (out.parent / f".{out.name}.{state}" for state in ("partial", "old"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder):
            try:
                for rest in folder.iterdir():
                    if rest.name != ".lock":
                        shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
                yield folder
                (folder / ".lock").unlink()
                shutil.rmtree(old, ignore_errors=True)
                if out.exists():
                    out.rename(old)
                folder.rename(out)
            finally:
                shutil.rmtree(old, ignore_errors=True)
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise UserError(f"--out={out} cannot be written: {reason(error)}.") from error
