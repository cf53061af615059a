"""Lower and upper estimates of the bytes that a run writes."""

from collections.abc import Iterable
from fractions import Fraction

import jax

from lumiere_jax.audio.frame_times import RATE
from lumiere_jax.inputs.dataset.columns import Column
from lumiere_jax.training import checkpoint
from lumiere_jax.training.progress_reports import REPORTS, between_clips
from lumiere_jax.training.stage import Stage

# Least and most bytes per pixel of a frame and its figure together: 0.7 at 256 px to 1.8 at 64 px
# were measured. At most two copies exist: pieces and archives, or archives and dataset.
PIXEL_LEAST, PIXEL_MOST = 0.05, 2.5
# Bytes per sound sample.
SAMPLE = 4
# Least share of a checkpoint's bytes that remains after compression; 0.82 to 0.93 were measured.
COMPRESSED = 0.5
# Least bytes per video frame: an almost unchanged picture, its sound, and their index entries.
STILL = 30
# Most bytes per pixel of a video (0.04 at 128 px to 0.24 at 64 px were measured), and per second
# of its sound (eight channels at 96 kHz).
VIDEO_MOST, SOUND_MOST = 0.25, 96_000
# Most bytes that training writes for previews: per pixel of a clip's frame (video and TensorBoard
# together; 60 were measured), per pixel of a picture sheet (24 were measured), per clip's sound.
CLIP, SHEET, CLIP_SOUND = 100, 40, 200_000


def checkpoint_bytes(stages: Iterable[Stage]) -> tuple[int, int]:
    """Returns the least and most bytes of the stages' checkpoints.

    At most, each stage keeps `checkpoint.KEPT` checkpoints, and one more of the largest stage is
    being written.
    """
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    sizes = [
        sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
        for state in (checkpoint.abstract_state(stage, device) for stage in stages)
    ]
    return int(COMPRESSED * sum(sizes)), checkpoint.KEPT * sum(sizes) + max(sizes, default=0)


def training_bytes(stages: Iterable[Stage], size: int) -> tuple[int, int]:
    """Returns the least and most bytes of training at `size` pixels: checkpoints and previews."""
    stages = list(stages)
    least, most = checkpoint_bytes(stages)
    clips = sum(stage.steps // between_clips(stage.steps) + 1 for stage in stages)
    sheets = (REPORTS + 2) * len(stages)
    return least, most + clips * (CLIP * size**2 + CLIP_SOUND) + sheets * SHEET * size**2


def video_bytes(frames: int, size: int, seconds: float) -> tuple[int, int]:
    """Returns the least and most bytes of a video of `size` pixels a side."""
    return STILL * frames, int(VIDEO_MOST * frames * size**2 + SOUND_MOST * seconds)


def dataset_bytes(
    frames: int, size: int, fps: Fraction, columns: Iterable[Column], side: int = 0
) -> tuple[int, int]:
    """Returns the least and most bytes of preparing a dataset.

    The least assumes that an interrupted run has already made the clip archives.

    Args:
      frames: Number of frames.
      size: Side of the dataset's pictures in pixels.
      fps: Frames per second.
      columns: The dataset's columns.
      side: Side in pixels of the pictures that faces are cut from; 0 for datasets of figures.
    """
    pixels, sound = frames * size**2, int(frames / fps * RATE * SAMPLE)
    numbers = sound + frames * sum(column.size for column in columns if not column.is_picture)
    kept = int(PIXEL_MOST * frames * side**2)
    return int(PIXEL_LEAST * pixels), 2 * (int(PIXEL_MOST * pixels) + numbers) + kept
