"""Where compiled programs are kept: nowhere that another could write."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lumiere_jax.runtime import compiled_programs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Where a start would keep its programs, given the folder of the caches; None: nowhere."""
    for name in (compiled_programs.FOLDER, *compiled_programs.LIMITS):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("LUMIERE_JAX_CACHE", str(tmp_path / "caches"))

    def start():
        os.environ.pop(compiled_programs.FOLDER, None)
        compiled_programs.keep_compiled()
        place = os.environ.get(compiled_programs.FOLDER)
        return place and Path(place)

    return start


def mode(folder):
    return folder.stat().st_mode & 0o777


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_folder_is_the_users_alone(kept, tmp_path, umask):
    before = os.umask(umask)
    try:
        place = kept()
    finally:
        os.umask(before)
    assert place.is_dir() and place.parent == tmp_path / "caches" / "compiled"
    assert mode(place.parent) == 0o700
    assert os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] == str(2**30)


@pytest.mark.parametrize("open_to, trusted", [(0o755, True), (0o777, False), (0o720, False)])
def test_a_folder_that_was_open_is_closed_and_what_others_may_have_put_there_is_gone(
    kept, open_to, trusted
):
    place = kept()
    for name in ("jit_f-1-cache", "jit_f-1-atime"):
        (place / name).write_bytes(b"12345678")
    place.parent.chmod(open_to)
    assert kept() == place
    assert mode(place.parent) == 0o700
    assert (place / "jit_f-1-cache").exists() == trusted


def test_what_is_half_written_is_swept(kept):
    place = kept()
    for name in ("whole-cache", "whole-atime", "half-cache"):
        (place / name).write_bytes(b"12345678")
    kept()
    assert sorted(path.name for path in place.iterdir()) == ["whole-atime", "whole-cache"]


def test_anothers_folder_and_one_that_cannot_be_are_left_alone(kept, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert kept() is None
    err = capsys.readouterr().err
    assert "compiled: belongs to another user; compiled programs are not kept" in err
    assert err.count("\n") == 1
    monkeypatch.undo()
    monkeypatch.delenv(compiled_programs.FOLDER)
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("LUMIERE_JAX_CACHE", str(tmp_path / "file"))
    compiled_programs.keep_compiled()
    assert compiled_programs.FOLDER not in os.environ
    assert "a file is where its folder should be" in capsys.readouterr().err
    monkeypatch.setenv(compiled_programs.FOLDER, "")


@pytest.mark.parametrize("own", ["", "/somewhere/else"])
def test_jaxs_own_setting_stays(monkeypatch, tmp_path, own):
    monkeypatch.setenv(compiled_programs.FOLDER, own)
    monkeypatch.setenv("LUMIERE_JAX_CACHE", str(tmp_path / "caches"))
    compiled_programs.keep_compiled()
    assert os.environ[compiled_programs.FOLDER] == own
    assert not (tmp_path / "caches").exists()


def test_another_number_of_cores_compiles_anew(kept, monkeypatch):
    places = set()
    for cores in ({0}, {0, 1}, {2, 3}):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: cores, raising=False)
        places.add(kept())
    assert len(places) == 2


@pytest.mark.slow
def test_a_second_start_compiles_nothing_that_took_long(tmp_path):
    program = textwrap.dedent("""
        from ml_collections import config_flags
        from lumiere_jax.commands import cli

        config_flags.DEFINE_config_file("config")

        def main():
            import jax
            from jax import monitoring, numpy as jnp
            seen = []
            monitoring.register_event_listener(lambda event, **_: seen.append(event))
            x = jnp.ones((64, 64))
            jax.jit(lambda x: sum(jnp.sin(jnp.sort(x * i, axis=i % 2)) for i in range(40)))(x)
            print(*(event.split("/")[-1] for event in seen if "/cache_" in event))

        cli.run(main)
    """)
    (tmp_path / "program.py").write_text(program)
    own = (compiled_programs.FOLDER, *compiled_programs.LIMITS, "XLA_FLAGS")
    environment = {k: v for k, v in os.environ.items() if k not in own}
    environment |= {"PYTHONPATH": str(ROOT), "LUMIERE_JAX_CACHE": str(tmp_path / "caches")}
    starts = [
        subprocess.run(
            [sys.executable, tmp_path / "program.py", "--config=configs/lumierenet.py:tiny"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        for _ in range(2)
    ]
    assert [start.stderr for start in starts] == ["", ""]
    first, second = (set(start.stdout.split()) for start in starts)
    assert first == {"cache_misses"} and second == {"cache_hits"}
