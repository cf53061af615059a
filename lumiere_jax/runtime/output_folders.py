"""Output folders that are built under a temporary name and renamed when complete."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lumiere_jax.errors import UserError, reason
from lumiere_jax.files import put_in_place
from lumiere_jax.paths import user_path
from lumiere_jax.runtime.disk_space import written_into
from lumiere_jax.runtime.locks import LOCK, lock


@contextmanager
def built_aside(out: Path, marker: str) -> Iterator[Path]:
    """Yields a temporary folder that replaces `out` when the block succeeds.

    Until then an older result in `out` stays. Leftovers of a killed run are removed first.

    Args:
      out: Output folder; new, empty, or an older result.
      marker: Name of a file that marks an older result.

    Raises:
      UserError: `out` holds other files, it cannot be written, or another run is building it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (out / marker).is_file():
        what = "holds other files" if out.is_dir() else "is a file"
        raise UserError(f"--out={out} {what}: name another folder.")
    try:
        place = out.resolve()
    except RuntimeError as error:
        raise UserError(f"--out={out} is a link that leads to itself: name a folder.") from error
    if place.is_mount() or place == Path.cwd():
        raise UserError(f"--out={out} cannot be replaced as a whole: name a new folder in it.")
    folder, old = (place.with_name(f".{place.name}.{state}") for state in ("partial", "old"))
    user_path("--out", folder)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out={out} cannot be written: {reason(error)}.") from error
    held = place.with_name(f".{place.name}{LOCK}")
    with lock(held, out), written_into(out, place.parent):
        try:
            _put_back(old, place)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            yield folder
            try:
                if place.exists():
                    shutil.rmtree(old, ignore_errors=True)
                    place.rename(old)
                put_in_place(folder, place)
            except BaseException as error:
                _put_back(old, place)
                if isinstance(error, OSError):
                    raise UserError(f"--out={out} cannot be replaced: {reason(error)}.") from error
                raise
        finally:
            if place.exists():
                shutil.rmtree(old, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)


def _put_back(old: Path, place: Path) -> None:
    """Restores the older result where a run ended in the middle of replacing it."""
    if old.exists() and not place.exists():
        old.rename(place)
