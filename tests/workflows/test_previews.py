"""Clips of a training: what is seen and heard in them, and that a failure costs a sentence."""

import errno
import itertools
import json

import av
import jax
import numpy as np
import pytest
import soundfile

from lumiere_jax.commands.train import train
from lumiere_jax.commands.verify import find_mark
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.outputs.mark import ENOUGH
from lumiere_jax.outputs.video import read_record
from lumiere_jax.systems.lumierenet.system import SYSTEM, stages
from lumiere_jax.training import checkpoint, device_mesh
from lumiere_jax.workflows import previews

SIZE = 64


def decoded(path):
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    return np.stack(pictures), sound


@pytest.fixture
def make(workdir, drawn, tiny, tmp_path):
    """A stage's preview, into a folder of its own, and its state on a mesh of many devices."""
    every = stages(tiny(), SIZE)

    def made(name):
        def trained(name):
            return checkpoint.restore_frozen(workdir, every[name], name)

        dataset = open_dataset(drawn)
        feed = SYSTEM.feed(every[name], tiny(), dataset, trained)
        preview = previews.make_preview(name, feed, dataset, tmp_path)
        mesh = device_mesh.data_mesh(8)
        whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        return preview, jax.jit(every[name].init, out_shardings=whole)(jax.random.key(0))

    return made


@pytest.mark.parametrize(
    "name, shown", [("vae", "figure"), ("blstm", "figure"), ("seqpix2pix", "frame")]
)
def test_a_clip_shows_the_truth_beside_what_is_made_with_its_sound(
    make, drawn, tmp_path, name, shown
):
    preview, state = make(name)
    clip = preview(7, state)
    dataset = open_dataset(drawn)
    frames, record = dataset.frames("val"), dataset.records("val")[3]
    assert clip.pictures.shape == (frames, SIZE, 2 * SIZE, 3)
    # The mark lies over both, for they are one picture of which a part is synthetic.
    change = clip.pictures[3, :, :SIZE].astype(float) - picture_bytes.decode(record[shown])
    assert np.mean(change**2) < 3 and np.abs(change).max() <= 16
    assert clip.pictures[:, :, SIZE:].std() > 0
    # The label is white on shade, in the lower right corner, which the made half has.
    corner = clip.pictures[:, -4:, -20:]
    assert (corner == 255).any(axis=(1, 2, 3)).all() and corner.min() < 128

    pictures, sound = decoded(tmp_path / "clips" / "7.mp4")
    assert pictures.shape == clip.pictures.shape
    assert np.abs(pictures.astype(float) - clip.pictures).mean() < 6
    true, rate = soundfile.read(drawn / dataset.segments[1].sound, dtype="float32")
    assert clip.rate == rate == 16_000 and len(clip.sound) == frames * rate // 30
    assert np.corrcoef(sound[: len(clip.sound)], true[: len(clip.sound)])[0, 1] > 0.9
    told = read_record(tmp_path / "clips" / "7.mp4")
    assert told["synthetic"] is True and (told["stage"], told["step"]) == (name, 7)
    assert "drawn by lumiere_jax" in told["who"]
    assert find_mark(tmp_path / "clips" / "7.mp4") > ENOUGH


def test_a_clip_that_cannot_be_made_costs_a_sentence(make, tmp_path, monkeypatch, capsys):
    preview, state = make("vae")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(previews, "write_video", full)
    assert preview(9, state) is None
    said = capsys.readouterr().out.strip()
    assert said.startswith("warning: 'vae' goes on without a clip of step 9: ")
    assert "No space left" in said and "\n" not in said


def test_a_training_leaves_clips_at_its_quarters_and_resuming_doubles_none(
    drawn, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(previews, "SHORTEST", 4)
    made = []
    whole = previews.make_preview

    def counted(*arguments):
        preview = whole(*arguments)
        return lambda step, state: made.append(step) or preview(step, state)

    monkeypatch.setattr(previews, "make_preview", counted)
    for steps in (4, 8):
        config = tiny()
        config.vae.steps = steps
        train(config=config, data=drawn, workdir=tmp_path / "run", stage="vae")
    assert made == [1, 2, 3, 4, 6, 8]
    clips = tmp_path / "run" / "vae" / "clips"
    assert sorted(path.name for path in clips.iterdir()) == [f"{i}.mp4" for i in (1, 2, 3, 4, 6, 8)]


def test_a_trial_leaves_no_clips(workdir):
    assert not list(workdir.rglob("clips"))


def test_the_blstm_is_also_measured_with_other_frames_audio(workdir):
    lines = (workdir / "blstm" / "log.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert first["val_loss"] != first["val_loss_shuffled"] > 0
    assert all(a < b for a, b in itertools.pairwise(json.loads(line)["step"] for line in lines))
