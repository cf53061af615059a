"""A short fuzz of everything that is read; `python tests/torture/fuzz.py` is the long one."""

import subprocess
import sys

import pytest
from torture import crashing, fuzz, targets
from torture.processes import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are Linux's")


@pytest.mark.slow
def test_damaged_files_give_a_result_or_one_error(tmp_path):
    rows = list(fuzz.fuzz(200, 0, tmp_path))
    assert sum(row.tries for row in rows) >= 200 and len(rows) == len(targets.KINDS)
    said = [path.read_text() for path in tmp_path.glob("*/*.why")]
    assert not any(row.failures for row in rows), said


LACKING = """
import errno, resource, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:]
import av
import av.error
from lumiere_jax.errors import UserError
from torture import fuzz

def says(error):
    def read(folder):
        try:
            raise error
        except type(error) as why:
            raise UserError("a sentence") from why
    return read

def asks(folder):
    kept = []
    try:
        while True:
            kept.append(av.VideoFrame(8192, 8192, "rgb24"))
    except (MemoryError, av.error.FFmpegError) as why:
        raise UserError("a sentence") from av.error.MemoryError(errno.ENOMEM, str(why))

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), resource.RLIM_INFINITY))
told = av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")
for read in (says(told), says(MemoryError()), lambda folder: None, asks):
    print(fuzz.fails_anyway(read, Path()))
"""


def test_ffmpeg_lacks_memory_only_where_it_asks_for_some():
    """It says so, another library does, nobody does, and frames are really asked for."""
    command = [sys.executable, "-c", LACKING, str(ROOT), str(ROOT / "tests")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "False", "False", "False"]


@pytest.mark.slow
def test_what_raises_or_kills_its_process_is_counted_kept_and_the_rest_goes_on(tmp_path):
    (row,) = fuzz.fuzz(32, 0, tmp_path, {"numbers": crashing.NUMBERS})
    kept = list((tmp_path / "numbers").glob("*.why"))
    assert row.tries == 32 and row.failures == len(kept) > 3
    said = "".join(path.read_text() for path in kept)
    assert "ValueError: one" in said and "MemoryError: two" in said
    assert "the process died: -11" in said
    for path in kept:
        assert (path.with_suffix("") / "one").read_bytes()[:1] not in (b"", b"\0")
