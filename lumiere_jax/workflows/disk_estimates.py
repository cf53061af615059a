"""How many bytes a run writes, at least and at most: checkpoints, clips, videos, datasets."""

from collections.abc import Iterable
from fractions import Fraction

import jax

from lumiere_jax.audio.features import RATE
from lumiere_jax.inputs.dataset.columns import Column
from lumiere_jax.training import checkpoint
from lumiere_jax.training.progress_reports import REPORTS, between_clips
from lumiere_jax.training.stage import Stage

# Bytes of a pixel in a frame and its figure, at least and at most: 0.7 at 256 px to 1.8 at 64 px
# were measured. At most they are there twice, in pieces and archives or archives and dataset.
PIXEL_LEAST, PIXEL_MOST = 0.05, 2.5
# Bytes of a sample.
SAMPLE = 4
# A share of a checkpoint's numbers that compression leaves at least: 0.82 to 0.93 were measured.
COMPRESSED = 0.5
# A picture that hardly differs from the one before, its sound, and their places in the index.
STILL = 30
# Bytes of a video's pixel, at most, of which 0.04 at 128 px to 0.24 at 64 px were measured, and of
# a second of its sound, eight channels at 96 kHz.
VIDEO_MOST, SOUND_MOST = 0.25, 96_000
# Bytes for each pixel of a frame in a training's clip, as a video and in TensorBoard, and in its
# sheets of pictures, and of a clip's sound: 60 and 24 were measured.
CLIP, SHEET, CLIP_SOUND = 100, 40, 200_000


def checkpoint_bytes(stages: Iterable[Stage]) -> tuple[int, int]:
    """What training stages writes, at least and at most: the checkpoints that each keeps, and the
    one that is being written beside the largest."""
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    sizes = [
        sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
        for state in (checkpoint.abstract_state(stage, device) for stage in stages)
    ]
    return int(COMPRESSED * sum(sizes)), checkpoint.KEPT * sum(sizes) + max(sizes, default=0)


def training_bytes(stages: Iterable[Stage], size: int) -> tuple[int, int]:
    """What training stages at `size` pixels writes, at least and at most: checkpoints, and what
    there is to look at."""
    stages = list(stages)
    least, most = checkpoint_bytes(stages)
    clips = sum(stage.steps // between_clips(stage.steps) + 1 for stage in stages)
    sheets = (REPORTS + 2) * len(stages)
    return least, most + clips * (CLIP * size**2 + CLIP_SOUND) + sheets * SHEET * size**2


def video_bytes(frames: int, size: int, seconds: float) -> tuple[int, int]:
    """What a video takes, at least and at most."""
    return STILL * frames, int(VIDEO_MOST * frames * size**2 + SOUND_MOST * seconds)


def dataset_bytes(
    frames: int, size: int, fps: Fraction, columns: Iterable[Column], side: int = 0
) -> tuple[int, int]:
    """What preparing writes, at least (an interrupted run left the rest) and at most; faces are cut
    out of pictures of `side`."""
    pixels, sound = frames * size**2, int(frames / fps * RATE * SAMPLE)
    numbers = sound + frames * sum(column.size for column in columns if not column.is_picture)
    kept = int(PIXEL_MOST * frames * side**2)
    return int(PIXEL_LEAST * pixels), 2 * (int(PIXEL_MOST * pixels) + numbers) + kept
