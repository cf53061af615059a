"""Face width in a dataset's pictures; eyes and mouth cannot be learned from a small face."""

import numpy as np

from lumiere_jax.inputs.dataset.columns import KEYPOINTS
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.keypoints import JAW, of_person
from lumiere_jax.shapes import Keypoints

ENOUGH = 40
LOOKED_AT = 32


def face_width(keypoints: Keypoints, size: int) -> float | None:
    """Returns the jaw's median width in pixels over frames with a face; None without any."""
    jaws = keypoints[(keypoints[:, of_person(JAW), 2] > 0).all(1), of_person(JAW), 0]
    return float(np.median(np.ptp(jaws, axis=1)) * size) if len(jaws) else None


def small_face(dataset: Dataset) -> str | None:
    """Returns a warning's clause where the footage's face is too small, from sampled frames."""
    # The drawn lecturer cannot be reframed, and aligned faces all have the same width.
    if dataset.drawn_seed is not None or dataset.geometry.aligned:
        return None
    if KEYPOINTS.name not in [column.name for column in dataset.columns]:
        return None
    records = dataset.records("train")
    picked = np.linspace(0, len(records) - 1, LOOKED_AT).astype(int)
    width = face_width(np.stack([records[int(i)]["keypoints"] for i in picked]), dataset.size)
    if width is None or width >= ENOUGH:
        return None
    return (
        f"the face is {width:.0f} px wide in pictures of {dataset.size} px, and eyes and mouth "
        f"want {ENOUGH} px"
    )
