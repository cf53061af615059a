"""Beam is no dependency: without requirements-beam.txt, all but the first test are skipped."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from lumiere_jax.commands.prepare import prepare_footage
from lumiere_jax.errors import UserError
from lumiere_jax.workflows.beam import parse_options

needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason="needs Apache Beam: pip install -r requirements-beam.txt",
)
_spec = importlib.util.spec_from_file_location(
    "made_clips", Path(__file__).with_name("test_footage_archives.py")
)
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)
poses = made.poses


@pytest.fixture
def given(tmp_path, consent, poses):
    """Two clips with poses, and the arguments that make a dataset of them."""
    (tmp_path / "talks").mkdir()
    for name in ("a", "b"):
        made.make_talk(tmp_path / "talks" / f"{name}.mp4")
        poses.joinpath(name).symlink_to(poses, target_is_directory=True)
    return {
        "footage": str(tmp_path / "talks" / "*.mp4"),
        "consent": consent,
        "figure": "openpose",
        "poses": poses,
        "size": 64,
        "fps": "10",
    }


def test_without_beam_the_remedy_is_named(monkeypatch):
    for name in ("apache_beam", "apache_beam.options.pipeline_options"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="pip install -r requirements-beam.txt"):
        parse_options("runner=DirectRunner")


@needs_beam
@pytest.mark.parametrize("text", ["runner=NoSuchRunner", "direct_num_workers=many"])
def test_options_that_beam_does_not_know_are_named(text):
    with pytest.raises(UserError, match=f"--beam_options={text}: "):
        parse_options(text)


@needs_beam
def test_beam_makes_the_same_dataset(tmp_path, given):
    """The same records under the same indices, the same statistics, sound and preview."""
    errors = tmp_path / ".beam.clips" / "errors"  # of a run that was killed
    errors.mkdir(parents=True)
    (errors / "a").write_text("this was mended")
    with_beam = prepare_footage(
        **given, out=tmp_path / "beam", beam_options="runner=DirectRunner,direct_num_workers=1"
    )
    alone = prepare_footage(**given, out=tmp_path / "alone", workers=2)
    assert with_beam.segments == alone.segments
    np.testing.assert_array_equal(with_beam.mean, alone.mean)
    for split in ("train", "val", "test"):
        for one, other in zip(with_beam.records(split), alone.records(split), strict=True):
            assert one.keys() == other.keys()
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
    files = [made.contents(tmp_path / name) for name in ("beam", "alone")]
    beside = [{k: v for k, v in c.items() if "array_record" not in k} for c in files]
    for content in beside:
        for name in ("dataset_info.json", "lectures/1.0.0/dataset_info.json"):
            content.pop(name, None)
    assert beside[0] == beside[1]
    assert not list(tmp_path.glob(".*"))


@needs_beam
def test_a_mistake_in_one_clip_is_told_and_the_others_are_kept(tmp_path, given):
    (tmp_path / "poses" / "b").unlink()
    few = tmp_path / "poses" / "b"
    few.mkdir()
    (few / "0.json").write_text('{"people": []}')
    options = "runner=DirectRunner,direct_num_workers=1"
    with pytest.raises(UserError, match="holds 1 poses but .*b.mp4 has 210 frames"):
        prepare_footage(**given, out=tmp_path / "data", beam_options=options)
    kept = tmp_path / ".data.clips"
    assert [path.name for path in (kept / "whole").iterdir()] == ["a"]
    whole = (kept / "whole" / "a" / "pictures.bin").stat().st_ino
    (tmp_path / "talks" / "b.mp4").unlink()
    given["poses"] = tmp_path / "poses"
    prepare_footage(**given | {"footage": str(tmp_path / "talks" / "a.mp4")}, out=tmp_path / "data")
    assert whole and not kept.exists()
