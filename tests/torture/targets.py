"""Everything that is read from files: where a fuzz begins, and what reads its inputs."""

import contextlib
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from torture import seeds

# Enough of a clip to meet what is wrong with it.
FRAMES, BLOCKS = 50, 2000


@dataclass(frozen=True)
class Kind:
    """A kind of input: the folder that `write` fills with seeds, a folder each, what reads one of
    these, the files of it that are damaged, and its share of all inputs. `guided` is the file with
    a parser in Python, whose coverage atheris sees."""

    write: Callable[[Path], None]
    readers: tuple[Callable[[Path], object], ...]
    files: str
    share: float
    guided: str = ""


def _footage(folder: Path) -> None:
    from lumiere_jax.inputs.footage import probing, reading
    from lumiere_jax.inputs.media import upright_pictures

    (path,) = folder.iterdir()
    clip = probing.probe(path)
    crop = upright_pictures.Crop(clip.cols - 64, clip.rows - 64, 64)
    for square in (None, crop):
        frames = reading.read_sizes(path, Fraction(30), (64, 32), square)
        for _, (picture, small) in itertools.islice(frames, FRAMES):
            assert picture.shape == (64, 64, 3) and small.shape == (32, 32, 3)
    middle = clip.frames(Fraction(30)) // 2
    list(reading.read_sizes(path, Fraction(30), (64,), None, middle, middle + 2))
    for block in itertools.islice(reading.read_audio(path), BLOCKS):
        assert np.isfinite(block).all()


def _narration(folder: Path) -> None:
    from lumiere_jax.inputs.sound import sound_tracks

    (path,) = folder.iterdir()
    sound = sound_tracks.probe_audio(path)
    for block in itertools.islice(
        sound_tracks.to_mono(sound_tracks.read_sound(path), sound.rate), BLOCKS
    ):
        assert np.isfinite(block).all()


def _verified(folder: Path) -> None:
    from lumiere_jax.commands.verify import verify

    (path,) = folder.iterdir()
    with contextlib.redirect_stdout(io.StringIO()):
        assert verify(path) in (True, False)


def _openpose(folder: Path) -> None:
    from lumiere_jax.inputs.poses import openpose

    poses, clip = folder / "poses", folder / "clip.nut"
    for keypoints in openpose.read_keypoints(poses, clip, (16, 0, 144), np.array([0, 1])):
        assert np.isfinite(keypoints).all()


def _densepose(folder: Path) -> None:
    from lumiere_jax.inputs.poses import densepose

    people, figure = densepose.open_figures(folder / "poses", folder / "clip.nut", 144, 176)
    for frame, person in enumerate(people):
        if person >= 0:
            assert figure(frame, (16, 0, 144), 64).shape == (64, 64, 3)


def _consent(folder: Path) -> None:
    from lumiere_jax.inputs.dataset.consent import consent_id, read_consent

    assert consent_id(read_consent(folder / "consent.toml"))


def _weights(folder: Path) -> None:
    from lumiere_jax.vgg import load_vgg19

    assert np.isfinite(np.asarray(load_vgg19(folder / "weights")["1_1"]["kernel"])).all()


def _run(folder: Path) -> None:
    from lumiere_jax.workflows.workdir import read_run, write_run
    from lumiere_jax.workflows.workdir_checks import checked

    run = read_run(folder)
    checked(run.config)
    write_run(folder, run)


def _log(folder: Path) -> None:
    from lumiere_jax.systems.lumierenet import health
    from lumiere_jax.systems.lumierenet.config import Config
    from lumiere_jax.training import log

    for name in ("log.jsonl", "warnings.jsonl"):
        lines = log._kept(folder / name, 3)
        for stage in ("vae", "blstm", "seqpix2pix") if lines else ():
            for check in health.checks(stage, Config()).values():
                check(lines)


def _dataset(folder: Path) -> None:
    from lumiere_jax.audio.front_ends import log_mel
    from lumiere_jax.inputs.dataset import lectures
    from lumiere_jax.inputs.dataset.columns import pictures
    from lumiere_jax.inputs.dataset.segments import SPLITS
    from lumiere_jax.inputs.media import picture_bytes

    dataset = lectures.open_dataset(folder)
    for segment in dataset.segments:
        assert np.isfinite(dataset.sound(segment, segment.frames)).all()
    for split in SPLITS:
        dataset.rows(log_mel(dataset.fps), split)
        for example in dataset.records(split):
            for column in pictures(dataset.columns):
                picture_bytes.decode(example[column.name], dataset.shape)


def _table(folder: Path) -> None:
    from lumiere_jax.inputs.dataset.clips_table import read_clips

    assert len(read_clips(folder / "clips.csv", seeds.CLIPS).splits) == len(seeds.CLIPS)


def _still(folder: Path) -> None:
    from lumiere_jax.inputs.faces import stills

    (path,) = folder.iterdir()
    picture = stills.read_picture(path)
    assert picture.shape[2] == 3 and max(picture.shape) <= stills.LARGEST


def _measured_with(folder: Path) -> None:
    from lumiere_jax.measures import face_embeddings, metrics, transcripts

    said = transcripts.read_transcripts(folder / "said.txt", folder / "read.txt")
    assert 0 <= metrics.word_error_rate(*said) < np.inf
    distances = metrics.content_distances(*face_embeddings.read_embeddings(folder / "vectors.npz"))
    assert ((0 <= distances) & (distances <= 2.001)).all()


def _checkpoint(folder: Path) -> None:
    import jax

    from lumiere_jax.training import checkpoint

    stage = seeds.load(seeds.TESTS / "training" / "conftest.py").line(3)
    checkpoint.restore_frozen(folder, stage, "line")
    with checkpoint.open_checkpoints(folder / "line") as manager:
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        step = checkpoint.require(folder, stage)
        checkpoint.restore(manager, step, checkpoint.abstract_state(stage, device))


def _metadata(folder: Path) -> None:
    from lumiere_jax.training import checkpoint

    if checkpoint.latest_step(folder / "line") is not None:
        checkpoint.read_metadata(folder / "line").get("needs", {}).get("vae")


KINDS = {
    "footage": Kind(seeds.videos, (_footage, _narration), "*", 0.26),
    "videos to verify": Kind(seeds.videos, (_verified,), "*", 0.05),
    "narrations": Kind(seeds.sounds, (_narration,), "*", 0.15),
    "OpenPose's JSON": Kind(seeds.openpose, (_openpose,), "poses/*", 0.05, guided="poses/*"),
    "DensePose's dumps": Kind(seeds.dumps, (_densepose,), "poses/*", 0.1, guided="poses/*"),
    "DensePose's pictures": Kind(seeds.iuv_pictures, (_densepose,), "poses/*", 0.05),
    "consent": Kind(seeds.consents, (_consent,), "*", 0.05, guided="*"),
    "VGG weights": Kind(seeds.weights, (_weights,), "*", 0.08, guided="*"),
    "configs and logs": Kind(seeds.workdirs, (_run, _log), "*", 0.05, guided="run.json"),
    "datasets": Kind(seeds.datasets, (_dataset,), "**/*", 0.06, guided="dataset.json"),
    "tables of clips": Kind(seeds.tables, (_table,), "*", 0.02, guided="*"),
    "stills": Kind(seeds.stills, (_still,), "*", 0.02),
    "transcripts and vectors": Kind(seeds.measures, (_measured_with,), "*", 0.02),
    "checkpoints": Kind(seeds.checkpoints, (_metadata, _checkpoint), "**/*", 0.04),
}
