"""The drawn lecturer's motion: from sound to mouth, hands, head and eyes.

All motion that follows the speech is a filter of finite length over the log-mel rows that the
networks read. So frame t depends only on sound up to the end of its own window: the mouth on 150 ms
of rows, the hands and the head on 500 ms. Chance (by seed and take) adds a slow sway, blinks and
the gaze. Lengths are in units of the picture.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumiere_jax.audio import features, frame_times
from lumiere_jax.audio.front_ends import log_mel, rows_of
from lumiere_jax.shapes import Waveform

MOUTH_MEMORY = 0.15
GESTURE_MEMORY = 0.5
OPEN = 0.06  # the widest inner-lip opening


@dataclass(frozen=True)
class Motion:
    """Motion with one row per frame. Hands are the lecturer's (left, right)."""

    aperture: np.ndarray  # inner-lip opening, 0 to OPEN
    width: np.ndarray  # of the lips, 1 at rest
    wrists: np.ndarray  # (time, 2, 2) offsets from the shoulders' middle line and the rest height
    spread: np.ndarray  # (time, 2) of the fingers, 0 relaxed to 1
    lift: np.ndarray  # (time, 2) of the hand over the forearm's direction, radians
    head: np.ndarray  # (time, 3) shift x, shift y, roll in radians
    pitch: np.ndarray  # positive: the head bows
    body: np.ndarray  # shift x
    brows: np.ndarray  # raised, 0 to 1
    lids: np.ndarray  # 1 open, 0 closed
    gaze: np.ndarray  # (time, 2) of the pupils, -1 to 1


def move(waveform: Waveform, fps: Fraction, seed: int, take: int, gain: float | None) -> Motion:
    """Computes the motion of ceil(samples · fps / 16000) frames.

    Args:
      waveform: The speech.
      fps: Frames per second.
      seed: Seed of the random motion.
      take: Number of the take, which changes the random motion, too.
      gain: Factor on the sound; None brings it to -26 dBFS.
    """
    frames = frame_times.frames_covering(len(waveform), fps)
    gain = features.loudness_gain([waveform]) if gain is None else gain
    rows = rows_of(log_mel(fps), [waveform], frames, gain).astype(np.float64)
    aperture, width = _mouth(rows, fps)
    wrists, spread, lift = _hands(rows, fps, np.random.default_rng([seed, take, 1]))
    head, pitch, body, brows = _head(rows, fps, np.random.default_rng([seed, take, 2]))
    lids, gaze = _eyes(frames, fps, np.random.default_rng([seed, take, 3]))
    return Motion(aperture, width, wrists, spread, lift, head, pitch, body, brows, lids, gaze)


def _band(rows: np.ndarray, low: int, high: int) -> np.ndarray:
    """Computes the log of the mean energy of mel filters low to high - 1."""
    return np.log(np.exp(rows[:, low:high]).mean(1))


def _rise(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(x / 2)


def _filter(signal: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Filters causally: row t is a mean of rows t, t-1, … weighted by `kernel`.

    Before the first row there is silence.
    """
    return np.convolve(signal, kernel / kernel.sum())[: len(signal)]


def _lags(memory: float, fps: Fraction) -> np.ndarray:
    """Returns the ages in seconds of the rows in a memory."""
    return np.arange(max(1, int(memory * fps) + 1)) / float(fps)


def _bump(lags: np.ndarray, start: float, end: float) -> np.ndarray:
    """Returns a smooth window over ages from start to end, zero outside."""
    t = np.clip((lags - start) / (end - start), 0, 1)
    return np.sin(np.pi * t**0.8) ** 2 + 1e-9


def _mouth(rows: np.ndarray, fps: Fraction) -> tuple[np.ndarray, np.ndarray]:
    voice, deep, vowel = _band(rows, 4, 16), _band(rows, 4, 10), _band(rows, 10, 16)
    front, hiss = _band(rows, 20, 29), _band(rows, 30, 40)
    loud = _rise(voice, -13.5, -5.5)
    hissing = _sigmoid((hiss - voice - 0.5) / 0.8) * _rise(hiss, -13.0, -8.0)
    openness = loud * (0.3 + 0.7 * _sigmoid((vowel - deep + 0.6) / 0.9)) * (1 - 0.55 * hissing)
    openness = np.maximum(openness, 0.22 * hissing)
    speaking = np.maximum(loud, hissing)
    stretch = speaking * np.tanh((front - deep + 0.5) / 3) + 0.35 * hissing
    kernel = np.exp(-_lags(MOUTH_MEMORY, fps) / 0.045)
    aperture = OPEN * np.tanh(1.9 * _filter(openness, kernel)) / np.tanh(1.9)
    return aperture, 1 + 0.15 * np.clip(_filter(stretch, kernel), -1.4, 1)


def _wander(rng: np.random.Generator, frames: int, fps: Fraction, low: float, high: float):
    """Makes a slow random motion of unit variance.

    It sums five sines with periods from low to high seconds.
    """
    seconds = np.arange(frames)[:, None] / float(fps)
    periods, phases = rng.uniform(low, high, 5), rng.uniform(0, 2 * np.pi, 5)
    return np.sin(2 * np.pi * seconds / periods + phases).sum(1) / np.sqrt(2.5)


def _prosody(rows: np.ndarray, fps: Fraction, low: int, high: int, delay: float):
    """Returns (level, beat) of a band.

    The level is a phrase's loudness. The beat is its stresses, which average to zero.
    """
    lags = _lags(GESTURE_MEMORY, fps)
    loud = _rise(_band(rows, low, high), -13.0, -5.5)
    level = _filter(loud, _bump(lags, 0.0, GESTURE_MEMORY))
    beat = _filter(loud, _bump(lags, delay, delay + 0.35)) - level
    return level, beat


def _hands(rows: np.ndarray, fps: Fraction, rng: np.random.Generator):
    frames = len(rows)
    bright, accent = _prosody(rows, fps, 18, 30, 0.0)
    wrists = np.zeros((frames, 2, 2))
    spread, lift = np.zeros((frames, 2)), np.zeros((frames, 2))
    for hand, (low, high, delay, outward) in enumerate([(4, 12, 0.0, 1.0), (12, 24, 0.15, -1.0)]):
        level, beat = _prosody(rows, fps, low, high, delay)
        vigour = 1 + 0.25 * _wander(rng, frames, fps, 3.0, 8.0)
        sway = np.stack([_wander(rng, frames, fps, 2.5, 6.0) for _ in range(2)], 1)
        up = vigour * (0.20 * level + 0.17 * beat) + 0.014 * sway[:, 1]
        out = vigour * (0.06 * bright + 0.10 * accent + 0.07 * beat) + 0.010 * sway[:, 0]
        wrists[:, hand, 0] = outward * np.clip(out, -0.04, 0.12)
        wrists[:, hand, 1] = -0.23 * np.tanh(np.maximum(up, -0.02) / 0.23)
        spread[:, hand] = np.clip(0.15 + 0.9 * level + 1.2 * accent, 0, 1)
        lift[:, hand] = 0.1 + 0.75 * level + 0.8 * beat + 0.08 * sway[:, 0]
    return wrists, spread, lift


def _head(rows: np.ndarray, fps: Fraction, rng: np.random.Generator):
    frames = len(rows)
    level, beat = _prosody(rows, fps, 4, 24, 0.05)
    _, accent = _prosody(rows, fps, 18, 30, 0.1)
    slow = np.stack([_wander(rng, frames, fps, 3.0, 8.0) for _ in range(5)], 1)
    pitch = 0.9 * beat + 0.18 * slow[:, 0]
    shift = np.stack([0.005 * slow[:, 1] + 0.012 * accent, 0.010 * pitch], 1)
    roll = 0.018 * slow[:, 2] + 0.05 * accent
    head = np.concatenate([shift, roll[:, None]], 1)
    brows = np.clip(0.15 + 1.6 * accent + 0.25 * level + 0.12 * slow[:, 3], 0, 1)
    return head, pitch, 0.004 * slow[:, 4], brows


def _eyes(frames: int, fps: Fraction, rng: np.random.Generator):
    seconds = np.arange(frames) / float(fps)
    lids, gaze = np.ones(frames), np.zeros((frames, 2))
    blink = rng.uniform(0.8, 3.0)
    while blink < frames / float(fps):
        lids *= 1 - np.exp(-(((seconds - blink) / 0.075) ** 4))
        blink += rng.uniform(2.0, 5.0) if rng.random() < 0.85 else 0.35
    look = 0.0
    while look < frames / float(fps):
        target = rng.normal(0, (0.45, 0.15))
        arrived = _rise(seconds, look, look + 0.12)[:, None]
        gaze += arrived * (target - gaze)
        look += rng.uniform(0.9, 2.8)
    return lids, np.clip(gaze, -1, 1)
