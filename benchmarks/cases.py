"""What is measured, and the numbers that both sides get."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import systems
from scipy.io import wavfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SPEECH = ROOT / "benchmarks/speech"
SECONDS, FPS = 3, 30
# Frames of a stream, one after the other.
STREAMED = 25
# Frames of one step, whose times are a frame's; other kinds have one part.
PARTS = {"synthesis": SECONDS * FPS, "streaming": STREAMED}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One measurement.

    Attributes:
      name: Network, or whole system, of those in a system's `cases.NAMES`.
      kind: "forward", "train", "synthesis" from a sound file to an MP4, or "streaming": frames one
        after the other, each with what it needs of those before.
      dtype: Of products.
      size: Rows of its pictures; 0 where there are none.
      batch: Examples of a step, or frames that are made at once.
      width: Channels of a generator's first layer.
      cells: Cells of a recurrent network.
      dropout: Of a generator; 0 also takes all other noise out.
    """

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


def case_names() -> list[str]:
    """Names of the systems' cases."""
    return [name for module in systems.modules("cases").values() for name in module.NAMES]


def grid(sizes: list[int], batches: list[int], dtypes: list[str]) -> list[Case]:
    """The systems' cases; of these sizes and batches where they have a choice."""
    modules = systems.modules("cases").values()
    return [case for module in modules for case in module.grid(sizes, batches, dtypes)]


def arrays(case: Case) -> dict[str, np.ndarray]:
    """A batch in the form in which the pipeline gives it, uint8 pictures, and noise."""
    return systems.module_of(case.name, "cases").arrays(case)


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
