"""Scripts of drawn clips: a lecturer with gestures, or the faces of several people.

A clip is drawn from its script alone, so clips can be drawn side by side, into a dataset or into
memory.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumiere_jax.audio.frame_times import RATE, frames_within
from lumiere_jax.drawn import lecturer
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.columns import Moment
from lumiere_jax.inputs.dataset.geometry import FACE
from lumiere_jax.inputs.faces.alignment import align, alignments, moved

FPS, FACES_FPS = Fraction(30), Fraction(25)
# Percent of the first narration in the training split.
HEARD = 95
# A face is cut out of a picture this many times as wide, in which it has its final size.
CLOSE = 3


@dataclass(frozen=True)
class Script:
    """All that a clip is drawn from.

    Attributes:
      clip: Name of the clip.
      seed: Seed of the person.
      waveform: What they say.
      take: Number of the take, which changes the gestures.
      parts: Splits: name, first frame, frames.
    """

    clip: str
    seed: int
    waveform: np.ndarray
    take: int
    parts: tuple[tuple[str, int, int], ...]


def lecture_scripts(
    first: np.ndarray, second: np.ndarray, seed: int, minutes: float | None = None
) -> list[Script]:
    """Makes the scripts of one lecturer.

    The lecturer trains on the first narration, and is tested on the second.

    Args:
      first: Narration (samples,), mono at 16 kHz.
      second: Narration (samples,), mono at 16 kHz.
      seed: Seed of the lecturer.
      minutes: Minutes of training and validation: repeats the first narration, with new gestures
        each time, until they are full. None says it once.
    """
    takes = max(1, math.ceil((minutes or 0) * 60 * RATE / len(first)))
    scripts = []
    for take in range(takes):
        waveform = first
        if minutes is not None and take == takes - 1:
            waveform = first[: int(minutes * 60 * RATE) - take * len(first)]
        count = frames_within(len(waveform), FPS)
        cut = count * HEARD // 100
        parts = (("train", 0, cut), ("val", cut, count - cut))
        scripts.append(Script(f"first-{take}", seed, waveform, take, parts))
    test = (("test", 0, frames_within(len(second), FPS)),)
    return [*scripts, Script("second", seed, second, 0, test)]


def face_scripts(
    first: np.ndarray, second: np.ndarray, seed: int, speakers: int, minutes: float | None = None
) -> list[Script]:
    """Makes the scripts of several faces.

    Faces that train say the first narration, each from another place in it.

    Args:
      first: Narration (samples,), mono at 16 kHz.
      second: Narration (samples,), mono at 16 kHz, of the face that tests.
      seed: Seed of the first face.
      speakers: Number of faces.
      minutes: Minutes of all faces that train; None gives each the longest clip.

    Raises:
      UserError: There are too few or too many speakers, or too few for the minutes.
    """
    if not 3 <= speakers <= 1000:
        raise UserError(f"--speakers={speakers}: use 3 (to train, to validate, to test) to 1000.")
    heard, rest = np.split(first, [len(first) * HEARD // 100])
    training = speakers - 2
    longest = len(heard) / RATE / 60
    each = longest if minutes is None else minutes / training
    if each > longest:
        raise UserError(
            f"--minutes={minutes}: {training} faces that train say at most "
            f"{training * longest:.1f} minutes: give fewer, or more --speakers."
        )

    def script(place: int, split: str, waveform: np.ndarray) -> Script:
        number = seed + place
        parts = ((split, 0, frames_within(len(waveform), FACES_FPS)),)
        return Script(f"face-{number}", number, waveform, 0, parts)

    samples = int(each * 60 * RATE)
    trained = [
        script(place, "train", np.roll(heard, -place * len(heard) // training)[:samples])
        for place in range(training)
    ]
    return [*trained, script(training, "val", rest), script(training + 1, "test", second)]


def drawn_lecture(script: Script, size: int, explicit: bool = True) -> Iterator[Moment]:
    """Draws the frames of a lecturer's clip.

    They are square pictures of `size`, as many as the sound fills.
    """
    count = frames_within(len(script.waveform), FPS)
    drawn = lecturer.draw_lecture(
        script.waveform, FPS, size, script.seed, script.take, explicit=explicit
    )
    for d in itertools.islice(drawn, count):
        yield Moment(
            keypoints=d.keypoints,
            draw_frame=lambda frame=d.frame: frame,
            figure=d.figure,
            aperture=d.aperture,
        )


def drawn_faces(script: Script, size: int) -> Iterator[Moment]:
    """Draws the frames of a face's clip.

    They are cut out of larger pictures, and apertures stay in units of those.
    """
    shape = FACE.shape(size)
    side = CLOSE * shape[1]
    count = frames_within(len(script.waveform), FACES_FPS)
    drawn = lecturer.draw_lecture(script.waveform, FACES_FPS, side, script.seed)
    for d in itertools.islice(drawn, count):
        # Known points do not tremble, so each frame is aligned by its own.
        (transform,) = alignments(d.keypoints[None], (side, side), shape)
        points = moved(d.keypoints, transform, (side, side), shape)
        face = align(d.frame, transform, shape)
        yield Moment(keypoints=points, draw_frame=lambda face=face: face, aperture=d.aperture)
