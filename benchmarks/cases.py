"""What is measured, and the numbers that both sides get."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import wavfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SPEECH = ROOT / "benchmarks/speech"
SECONDS, FPS = 3, 30
# Frames of a face, one after the other.
STREAMED = 25
TOTAL = 1e9  # steps, so that no schedule ends


@dataclass(frozen=True, kw_only=True)
class Case:
    """`batch` counts figures (vae), windows (blstm), triplets in training or frames (seqpix2pix),
    and the frames that are made at once (synthesis, whose times are a frame's, from a sound file
    to an MP4; animator, a frame's from a window of sound); `size` is 0 where there are no
    pictures."""

    name: str
    kind: str
    dtype: str
    size: int
    batch: int
    width: int = 64
    cells: int = 256
    dropout: float = 0.5


def small(case: Case) -> Case:
    """The same computation without what is drawn at random, at a size at which two results can be
    compared in seconds and convolutions still take each of their forms."""
    batch = 1 if case.kind == "streaming" else 2
    return dataclasses.replace(case, size=128, batch=batch, width=16, cells=32, dropout=0.0)


def grid(sizes: list[int], batches: list[int], dtypes: list[str]) -> list[Case]:
    """Every network, forward and training; the BLSTM, which has no size, with its batch of 128."""
    pictures = [
        Case(name=name, kind=kind, dtype=dtype, size=size, batch=batch)
        for size in sizes
        for name in ("vae", "seqpix2pix")
        for kind in ("forward", "train")
        for batch in batches
        for dtype in dtypes
    ]
    sound = [
        Case(name="blstm", kind=kind, dtype=dtype, size=0, batch=batch)
        for kind in ("forward", "train")
        for batch in (*batches, 128)
        for dtype in dtypes
    ]
    whole = [
        Case(name="synthesis", kind="synthesis", dtype=dtype, size=size, batch=batch)
        for size in sizes
        for batch in batches
        for dtype in dtypes
    ]
    faces = [
        Case(name="animator", kind="streaming", dtype=dtype, size=128, batch=1) for dtype in dtypes
    ]
    return sound + pictures + whole + faces


def speech(name: str) -> np.ndarray:
    """The beginning of the drawn lecturer's narration "first" (40 s) or "second" (12 s), mono at
    16 kHz, where no decoder of FLAC is."""
    _, samples = wavfile.read(SPEECH / f"{name}.wav")
    return samples.astype(np.float32) / 2**15


def narration(folder: Path, seconds: float = SECONDS) -> Path:
    """A sound file of so many seconds, which repeats itself."""
    rate, samples = wavfile.read(SPEECH / "second.wav")
    path = folder / "narration.wav"
    wavfile.write(path, rate, np.resize(samples, round(seconds * rate)))
    return path


def arrays(case: Case) -> dict[str, np.ndarray]:
    """A batch in the form in which the pipeline gives it, uint8 pictures, and the VAE's noise."""
    random = np.random.default_rng(0)
    b, size = case.batch, case.size
    pictures = lambda *lead: random.integers(0, 256, (*lead, size, size, 3), np.uint8)  # noqa: E731
    return {
        "features": random.standard_normal((b, 15, 40), np.float32),
        "codes": random.standard_normal((b, 128), np.float32),
        "noise": random.standard_normal((b, 128), np.float32),
        "figure": pictures(b),
        "figures": pictures(b, 3),
        "frames": pictures(b, 3),
        "keypoints": np.zeros((b, 137, 3), np.float32),
        "windows": random.standard_normal((STREAMED, 2560), np.float32) / 4,
        "still": random.integers(0, 256, (size, size * 3 // 4, 3), np.uint8),
    }
