"""A short fuzz of everything that is read; `python tests/torture/fuzz.py` is the long one."""

import errno
import sys

import av.error
import pytest
from torture import crashing, fuzz, targets

from lumiere_jax.errors import UserError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are Linux's")


def test_damaged_files_give_a_result_or_one_error(tmp_path):
    rows = list(fuzz.fuzz(200, 0, tmp_path))
    assert sum(row.tries for row in rows) >= 200 and len(rows) == len(targets.KINDS)
    said = [path.read_text() for path in tmp_path.glob("*/*.why")]
    assert not any(row.failures for row in rows), said


def test_ffmpeg_that_speaks_of_memory_but_asks_for_none_lacks_none(tmp_path):
    def refused(folder, error):
        try:
            raise error
        except type(error) as why:
            raise UserError("a sentence") from why

    told = av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")
    assert fuzz.fails_anyway(lambda folder: refused(folder, told), tmp_path)
    assert not fuzz.fails_anyway(lambda folder: refused(folder, MemoryError()), tmp_path)
    assert not fuzz.fails_anyway(lambda folder: None, tmp_path)


def test_what_raises_or_kills_its_process_is_counted_kept_and_the_rest_goes_on(tmp_path):
    (row,) = fuzz.fuzz(32, 0, tmp_path, {"numbers": crashing.NUMBERS})
    kept = list((tmp_path / "numbers").glob("*.why"))
    assert row.tries == 32 and row.failures == len(kept) > 3
    said = "".join(path.read_text() for path in kept)
    assert "ValueError: one" in said and "MemoryError: two" in said
    assert "the process died: -11" in said
    for path in kept:
        assert (path.with_suffix("") / "one").read_bytes()[:1] not in (b"", b"\0")
