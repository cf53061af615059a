"""Names, ranges and meanings of the numbers that every system's report has."""

from lumiere_jax.measures.evaluation import Evaluation

# Name, range and meaning of each number.
MEASURES: dict[str, tuple[str, str, str]] = {
    "mse": ("MSE", "0 best, at most 65025", "Mean squared difference of the 8-bit values."),
    "psnr": ("PSNR, dB", "higher is better", "Mean of each picture's signal-to-noise ratio."),
    "ssim": ("SSIM", "at most 1, the best", "How alike 11-pixel neighbourhoods are."),
    "face_psnr": (
        "PSNR of the face, dB",
        "higher is better",
        "Mean of each frame's, inside the box around the face's keypoints alone.",
    ),
    "mouth_psnr": (
        "PSNR of the mouth, dB",
        "higher is better",
        "The same inside the box around the lips.",
    ),
    "hands_psnr": (
        "PSNR of the hands, dB",
        "higher is better",
        "The same inside both hands' boxes; frames in which no hand is seen are left out.",
    ),
    "flicker": (
        "Flicker, levels",
        "0 best, at most 255",
        "Mean over pixels of how much more they change from frame to frame than the real ones.",
    ),
    "sharpness": (
        "Sharpness (CPBD)",
        "0 to 1; wanted: as real",
        "Share of edges whose blur is not noticed (Narvekar and Karam 2011); noise counts as "
        "sharp.",
    ),
    "mouth_correlation": (
        "Mouth correlation",
        "−1 to 1, the best",
        "The mouth's opening in the synthesised frames against the true one: the drawn one, or "
        "the one that the pose estimator finds in the real frames (inner lips over the face's "
        "height, eyes to chin).",
    ),
    "mouth_lag_frames": (
        "Mouth lag, frames",
        "0 best, −10 to 10",
        "The shift at which that correlation peaks; above 0, the picture is late.",
    ),
    "mouth_movement": (
        "Mouth movement over the real one's",
        "1: as much",
        "Deviation of the mouth's opening over time, over that in the real frames by the same "
        "measure. Near 0 the mouth stands still, and its correlation says nothing.",
    ),
    "mouth_landmark_distance": (
        "Mouth landmark distance, px",
        "0 best",
        "LMD: mean distance of the lips' 20 points, found in both frames, each set around its "
        "own middle, in pixels of these frames.",
    ),
    "relative_mouth_landmark_distance": (
        "… over the mouth's width",
        "0 best",
        "The same as a share of the real mouth's width, which does not depend on the size.",
    ),
    "face_found": (
        "Faces found",
        "0 to 1",
        "Share of frames in which the pose estimator finds the face, in the real and in the "
        "synthesised one; under one half the mouth is not judged.",
    ),
    "real_sharpness": (
        "Sharpness of the real frames",
        "0 to 1",
        "The same measure on the real frames: what the one above is to be held against.",
    ),
    "mouth_correlation_real_frames": (
        "Check: real frames",
        "−1 to 1, the best",
        "The real frames' own mouth against the drawn one, or the one that was found in the "
        "footage at its full size: what the measure can reach.",
    ),
    "mouth_correlation_shuffled_audio": (
        "Check: shuffled audio",
        "about 0",
        "A video from the same audio in another order: the measure does not flatter.",
    ),
}


def describe(evaluation: Evaluation, stage: str, name: str) -> tuple[str, str, str]:
    """Returns the name, range and meaning of a stage's number."""
    return evaluation.measures.get(stage, {}).get(name) or MEASURES[name]
