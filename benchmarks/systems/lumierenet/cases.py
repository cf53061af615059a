"""LumièreNet's cases: its three networks, forward and training, and the whole from sound to video.

`batch` counts figures (vae), windows (blstm), triplets in training or frames (seqpix2pix), and
frames that are made at once (synthesis).
"""

import numpy as np
from cases import Case

NAMES = ("blstm", "vae", "seqpix2pix", "synthesis")
# Cases with pictures, the most telling first.
PICTURES = (
    ("seqpix2pix", "forward"),
    ("seqpix2pix", "train"),
    ("vae", "train"),
    ("vae", "forward"),
)
# Of accelerator.py --short: sizes by name.
SHORT = {"seqpix2pix": 64, "blstm": 0}


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
    return sound + pictures + whole


def telling(dtype: str) -> list[Case]:
    """The cases that tell the most of an accelerator, the most telling first."""
    sound = [
        Case(name="blstm", kind=kind, dtype=dtype, size=0, batch=128)
        for kind in ("train", "forward")
    ]
    return _pictures(256, 8, dtype) + _pictures(256, 1, dtype) + sound


def compiled() -> list[Case]:
    """Those that Inductor compiles too, the quickest first."""
    chosen = (("seqpix2pix", "forward", 8), ("vae", "train", 8), ("seqpix2pix", "train", 1))
    known = {(case.name, case.kind, case.batch): case for case in telling("bfloat16")}
    return [known[key] for key in chosen]


def more() -> list[Case]:
    """Those for the time that is left."""
    return [
        case
        for size, batch in ((128, 32), (512, 1))
        for dtype in ("bfloat16", "float32")
        for case in _pictures(size, batch, dtype)
    ]


def _pictures(size: int, batch: int, dtype: str) -> list[Case]:
    return [
        Case(name=name, kind=kind, dtype=dtype, size=size, batch=batch) for name, kind in PICTURES
    ]


def arrays(case: Case) -> dict[str, np.ndarray]:
    """A batch of each stage, and the VAE's noise."""
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
    }
