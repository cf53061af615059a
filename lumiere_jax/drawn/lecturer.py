"""The drawn lecturer: a presenter who speaks a waveform, with a known answer for every frame.

The default for the demo and the tests, because it needs no third-party data. `seed` draws another
person in another room; `take` gives the same person new gestures for the same speech.
`lumiere_jax.drawn.motion` defines what follows the speech.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from lumiere_jax.drawn import body, head, motion, paint, person, scenery
from lumiere_jax.errors import UserError
from lumiere_jax.figures.dense import draw_figure
from lumiere_jax.keypoints import (
    FACE,
    LEFT_HAND,
    LEFT_PUPIL,
    POINTS,
    RIGHT_HAND,
    RIGHT_PUPIL,
)
from lumiere_jax.shapes import Picture, Waveform

_NARRATIONS = Path(__file__).parent / "narrations"
_WORKING = 256  # fewest pixels per side, before frames are reduced to their size
_NECK = np.array([0.5, 0.53])  # centre of the head's turns


@dataclass(frozen=True)
class DrawnFrame:
    """A frame and its known answer.

    `aperture` is the opening between the inner lips at the middle of the mouth, as a share of the
    picture's height (0 to 0.06). The head's nod then foreshortens it by up to 3%.
    """

    frame: Picture
    figure: Picture
    keypoints: np.ndarray
    aperture: float


def narration(name: str) -> Path:
    """Returns the sound file of the narration "first" (83 s) or "second" (27 s)."""
    path = _NARRATIONS / f"{name}.flac"
    if not path.is_file():
        raise UserError(f"{name} is not a narration of the drawn lecturer: use first or second")
    return path


def draw_lecture(
    waveform: Waveform,
    fps: Fraction,
    size: int,
    seed: int,
    take: int = 0,
    gain: float | None = None,
    explicit: bool = True,
) -> Iterator[DrawnFrame]:
    """Draws the frames of a lecture; deterministic.

    Args:
      waveform: The speech.
      fps: Frames per second.
      size: Pixels per side.
      seed: Seed of the person and the room.
      take: Number of the take, which changes the gestures.
      gain: Factor on the sound; None brings it to -26 dBFS.
      explicit: Whether figures are explicit, see `figures.dense.draw_figure`.

    Yields:
      ceil(samples · fps / 16000) frames.
    """
    moves = motion.move(waveform, fps, seed, take, gain)
    who = person.cast(seed)
    side = size * max(2, -(-_WORKING // size))
    layers = (
        scenery.room(side, who.room, seed),
        body.build(who, side),
        head.build(who, side),
    )
    for t in range(len(moves.aperture)):
        yield _draw(who, layers, moves, t, size, explicit)


def _draw(
    who: person.Person, layers, moves: motion.Motion, t: int, size: int, explicit: bool
) -> DrawnFrame:
    room, torso, face_layers = layers
    sway = np.array([moves.body[t], 0.0])
    turn = _head_affine(moves, t)
    aperture = float(moves.aperture[t])
    face = person.face_points(
        who, aperture, moves.width[t], moves.lids[t], moves.gaze[t], moves.brows[t]
    )
    face = face @ turn[:, :2].T + turn[:, 2]
    arms, hands = _arms(moves, t, sway)

    canvas = room.copy()
    paint.stamp(canvas, face_layers.back, turn)
    paint.stamp(canvas, torso, np.concatenate([np.eye(2), sway[:, None]], 1))
    head.paint_face(canvas, who, face_layers, turn, person.jaw_drop(aperture))
    head.paint_features(canvas, who, face, aperture / motion.OPEN)
    paint.stamp(canvas, face_layers.front, turn)
    body.paint_arms(canvas, who, arms, hands)

    small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    frame = np.ascontiguousarray(small[..., :3])
    keypoints = _keypoints(who, face, arms, hands, sway, turn)
    figure = draw_figure(keypoints, size, small[..., 3] > 127, explicit)
    return DrawnFrame(frame, figure, keypoints, aperture)


def _head_affine(moves: motion.Motion, t: int) -> np.ndarray:
    """Returns the affine map of the resting head: roll and shift about the neck.

    A bow shortens the head.
    """
    x, y, roll = moves.head[t]
    c, s = np.cos(roll), np.sin(roll)
    turn = np.array([(c, -s), (s, c)]) @ np.diag([1.0, 1 - 0.03 * np.clip(moves.pitch[t], -1, 1)])
    move = _NECK + (x + moves.body[t], y) - turn @ _NECK
    return np.concatenate([turn, move[:, None]], 1)


def _arms(moves: motion.Motion, t: int, sway: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    arms, hands = np.zeros((2, 3, 2)), np.zeros((2, 21, 2))
    for hand, outward in enumerate((1.0, -1.0)):
        shoulder = person.SHOULDERS[hand] + sway
        wrist = person.REST[hand] + moves.wrists[t, hand] + sway
        elbow = person.elbow(shoulder, wrist, outward)
        forearm = wrist - elbow
        angle = np.arctan2(forearm[1], forearm[0]) + outward * moves.lift[t, hand]
        arms[hand] = shoulder, elbow, wrist
        hands[hand] = person.hand_points(wrist, angle, moves.spread[t, hand], outward)
    return arms, hands


def _keypoints(who, face, arms, hands, sway, turn) -> np.ndarray:
    """Returns all 137 keypoints, in the order of `lumiere_jax.keypoints`.

    Hips, legs and feet are absent, with confidence 0.
    """
    points = np.zeros((POINTS, 3), np.float32)
    ears = np.array([(0.5 - who.cheek, 0.322), (0.5 + who.cheek, 0.322)])
    body_points = {
        0: face[30],
        1: arms[:, 0].mean(0) + (0, -0.05),
        2: arms[1, 0],
        3: arms[1, 1],
        4: arms[1, 2],
        5: arms[0, 0],
        6: arms[0, 1],
        7: arms[0, 2],
        15: face[RIGHT_PUPIL],
        16: face[LEFT_PUPIL],
        17: turn[:, :2] @ ears[0] + turn[:, 2],
        18: turn[:, :2] @ ears[1] + turn[:, 2],
    }
    for index, point in body_points.items():
        points[index] = *point, 1
    points[FACE, :2], points[LEFT_HAND, :2], points[RIGHT_HAND, :2] = face, *hands
    points[FACE.start :, 2] = 1
    return points
