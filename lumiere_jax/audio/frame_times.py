"""Times of frames, in samples: integers, so that frames stay in step for hours."""

from fractions import Fraction

RATE = 16_000


def frame_start(t: int, fps: Fraction, rate: int = RATE) -> int:
    """Returns the first sample of frame t: floor(rate · t / fps)."""
    return rate * t * fps.denominator // fps.numerator


def frames_covering(samples: int, fps: Fraction, rate: int = RATE) -> int:
    """Returns the fewest frames whose time covers every sample: ceil(samples · fps / rate)."""
    return -(-samples * fps.numerator // (rate * fps.denominator))


def frames_within(samples: int, fps: Fraction, rate: int = RATE) -> int:
    """Returns the most frames that the samples fill: floor(samples · fps / rate)."""
    return samples * fps.numerator // (rate * fps.denominator)
