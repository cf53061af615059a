"""The temporal GAN's case: a face that speaks, a frame for each window of sound."""

import numpy as np
from cases import STREAMED, Case

NAMES = ("animator",)
# Of accelerator.py --short: sizes by name.
SHORT = {"animator": 128}


def grid(sizes: list[int], batches: list[int], dtypes: list[str]) -> list[Case]:
    """The paper's size, live: a frame at a time."""
    return [case for dtype in dtypes for case in telling(dtype)]


def telling(dtype: str) -> list[Case]:
    """The cases that tell the most of an accelerator."""
    return [Case(name="animator", kind="streaming", dtype=dtype, size=128, batch=1)]


def compiled() -> list[Case]:
    """Those that Inductor compiles too: none."""
    return []


def more() -> list[Case]:
    """Those for the time that is left."""
    return []


def arrays(case: Case) -> dict[str, np.ndarray]:
    """Windows of sound, and a still."""
    random = np.random.default_rng(0)
    return {
        "windows": random.standard_normal((STREAMED, 2560), np.float32) / 4,
        "still": random.integers(0, 256, (case.size, case.size * 3 // 4, 3), np.uint8),
    }
