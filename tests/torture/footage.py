"""Footage of the harness's own: clips with a key frame each second, OpenPose's results, consent."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from torture.processes import finish, start

RATE = 10
ROWS, COLS = 80, 96
# Two of one piece and one of two.
CLIPS = {"first": 12, "second": 21, "third": 13}


def make_footage(folder: Path, clips: dict[str, int] | None = None) -> list[str]:
    """Clips by name and seconds; the flags of prepare.py for them."""
    clips = clips or CLIPS
    (folder / "talks").mkdir(parents=True)
    for seed, (name, seconds) in enumerate(clips.items()):
        write_clip(folder / "talks" / f"{name}.mp4", seconds, seed)
        _write_poses(folder / "poses" / name, seconds)
    consent = folder / "consent.toml"
    consent.write_text('who = "Ada"\nwhen = 2026-01-31\npurpose = "torture"\n')
    return [
        f"--footage={folder}/talks/*.mp4",
        f"--consent={consent}",
        "--figure=openpose",
        f"--poses={folder}/poses",
        "--size=64",
        f"--fps={RATE}",
    ]


def dataset(folder: Path, *flags: str) -> Path:
    """A dataset, undisturbed: of these flags of prepare.py, or of footage."""
    flags = flags or tuple(make_footage(folder / "footage"))
    run = start(folder, "prepare.py", *flags, f"--out={folder}/data")
    if finish(run):
        raise RuntimeError(f"prepare.py: {run.said[-400:]}")
    return folder / "data"


def write_clip(path: Path, seconds: int, seed: int = 0) -> None:
    """Moving noise and a tone."""
    random = np.random.default_rng(seed)
    ground = random.integers(0, 200, (ROWS, COLS, 3), np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"g": str(RATE)})
        video.width, video.height, video.pix_fmt = COLS, ROWS, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        for t in range(RATE * seconds):
            frame = av.VideoFrame.from_ndarray(np.roll(ground, t, axis=1), "rgb24")
            container.mux(video.encode(frame))
            step = 16_000 // RATE
            sound = np.sin(np.arange(step) / (7 + t % 5), dtype=np.float32)[None] / 2
            heard = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
            heard.sample_rate, heard.pts, heard.time_base = 16_000, step * t, Fraction(1, 16_000)
            container.mux(audio.encode(heard))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _write_poses(folder: Path, seconds: int) -> None:
    """Somebody who walks."""
    folder.mkdir(parents=True)
    for t in range(RATE * seconds):
        body = np.zeros((25, 3))
        body[[0, 1, 2, 5]] = [(48, 20, 1), (20 + t / 10, 50, 1), (30, 52, 1), (60, 52, 1)]
        people = [{"pose_keypoints_2d": body.ravel().tolist()}]
        (folder / f"{t:04}.json").write_text(json.dumps({"people": people}))
