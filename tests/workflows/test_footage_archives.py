"""Footage to archives: the same whatever the workers, and nothing that is whole is done again."""

import hashlib
import json
import os
from fractions import Fraction

import av
import numpy as np
import pytest

from lumiere_jax.commands.prepare import prepare_footage
from lumiere_jax.inputs.clips.clip_plan import Footage
from lumiere_jax.inputs.clips.posed_pieces import release
from lumiere_jax.inputs.dataset import clip_archives
from lumiere_jax.inputs.dataset.columns import APERTURE, FIGURE, FRAME, KEYPOINTS
from lumiere_jax.inputs.dataset.consent import read_consent
from lumiere_jax.inputs.dataset.geometry import SQUARE
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.footage import probing
from lumiere_jax.inputs.media import picture_bytes, upright_pictures
from lumiere_jax.inputs.poses import mediapipe
from lumiere_jax.runtime.worker_processes import one_by_one
from lumiere_jax.workflows import footage_archives

SECONDS, RATE = 21, 10

# It takes time, remembers the pictures since its video began, and sees a left hand.
PROGRAM = """
import hashlib, os, struct, sys
out = sys.stdout.buffer
side, size = int(sys.argv[1]), int(sys.argv[2])
out.write(b"ready\\n"); out.flush()
open(os.environ["STARTS"], "a").write("start\\n")
while data := sys.stdin.buffer.read(2 + side * side * 3):
    memory = (b"" if data[0] else memory) + data[2::50000]
    body = [x / 255 for x in hashlib.sha512(memory).digest()[:33]]
    points = [p for x in body for p in (x, x, 1)] + [0] * (956 + 84)
    out.write(bytes([1, 0, 0, 0]) + struct.pack("<1139f", *points) + struct.pack("<2f", 0.01, -1))
    out.write(bytes(128) + bytes([data[2]]) * ((size * size + 7) // 8)); out.flush()
"""


def make_talk(path, seconds=SECONDS):
    """A clip whose brightness counts, with a key frame every second."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"g": "10", "crf": "12"})
        video.width, video.height, video.pix_fmt = 96, 80, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        for t in range(RATE * seconds):
            picture = np.full((80, 96, 3), t % 250, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            sound = np.sin(np.arange(1600) / (7 + t % 5), dtype=np.float32)[None]
            frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
            frame.sample_rate, frame.pts = 16_000, 1600 * t
            frame.time_base = Fraction(1, 16_000)
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    return make_talk(tmp_path_factory.mktemp("talks") / "talk.mp4")


@pytest.fixture
def poses(tmp_path):
    """OpenPose's results of somebody who walks, and is missed once."""
    folder = tmp_path / "poses"
    folder.mkdir()
    for t in range(RATE * SECONDS):
        body = np.zeros((25, 3))
        body[[0, 1, 2, 5]] = [(48, 20, 1), (20 + t / 10, 50, 1), (30, 52, 1), (60, 52, 1)]
        people = [] if t == 105 else [{"pose_keypoints_2d": body.ravel().tolist()}]
        (folder / f"{t:03}.json").write_text(json.dumps({"people": people}))
    return folder


@pytest.fixture
def starts(tmp_path, monkeypatch):
    """A stand-in for MediaPipe's program, and the file that counts its starts."""
    program, file = tmp_path / "holistic.py", tmp_path / "starts"
    program.write_text("import sys\nif len(sys.argv) == 1: sys.exit()\n" + PROGRAM)
    monkeypatch.setattr(mediapipe, "_PROGRAM", program)
    monkeypatch.setenv("STARTS", str(file))
    return file


COLUMNS = (FRAME, FIGURE, KEYPOINTS, APERTURE)


def footage_of(path, **changes):
    given = {"clip": probing.probe(path), "figure": "mediapipe", "size": 64, "fps": Fraction(RATE)}
    given |= {"geometry": SQUARE, "columns": COLUMNS}
    return Footage(**(given | changes))


def contents(folder):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.mark.slow
def test_the_dataset_is_the_same_with_one_and_two_workers(tmp_path, talk, consent, poses, capfd):
    for workers in (1, 2):
        prepare_footage(
            footage=str(talk),
            consent=consent,
            out=tmp_path / f"data-{workers}",
            figure="openpose",
            poses=poses,
            size=64,
            fps=str(RATE),
            workers=workers,
        )
        told = capfd.readouterr().out
        assert "1 of 210 frames take a neighbour's pose" in told
        assert "210 frames in " in told and f"with {workers} worker" in told
        assert open_dataset(tmp_path / f"data-{workers}").consent == read_consent(consent)
    first, second = (contents(tmp_path / f"data-{workers}") for workers in (1, 2))
    assert first == second and any("array_record" in name for name in first)
    assert not list(tmp_path.glob(".data*")), "nothing is left beside the datasets"


def test_archives_are_the_same_one_by_one_and_side_by_side(tmp_path, talk, starts):
    """With the estimator that remembers: it begins afresh in each piece, wherever that is made."""
    footage = footage_of(talk)
    assert len(footage.pieces) == 2
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    footage_archives.make_archives(tmp_path / "one", [footage], one_by_one)
    release()
    assert starts.read_text() == "start\n", "one program poses all pieces"
    footage_archives.make_archives(tmp_path / "two", [footage], backwards)
    one, two = (contents(tmp_path / name / "whole" / "talk") for name in ("one", "two"))
    assert one == two
    whole = tmp_path / "one" / "whole" / "talk"
    examples = list(clip_archives.read_examples(whole, COLUMNS, 0, footage.frames))
    levels = [picture_bytes.decode(example["frame"]).mean() for example in examples]
    np.testing.assert_allclose(levels, np.arange(footage.frames), atol=3)


def backwards(work, tasks):
    """Does the tasks in reverse, each with an estimator of its own."""
    results = []
    for task in reversed(list(tasks)):
        results += one_by_one(work, [task])
        release()
    return results[::-1]


def test_what_is_whole_is_not_done_again(tmp_path, talk, starts):
    """A run is broken off in the second piece, and later when the clip is whole."""
    kept, footage = tmp_path / "kept", footage_of(talk)
    for folder in (kept, tmp_path / "new"):
        folder.mkdir()

    def broken(work, tasks):
        tasks = list(tasks)
        one_by_one(work, tasks[:1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        footage_archives.make_archives(kept, [footage], broken)
    footage_archives.tidy(kept)
    assert footage_archives.begun(kept) and not footage_archives.begun(tmp_path)
    first = kept / "parts" / "talk" / "posed-0"
    made = first.stat().st_ctime_ns
    (kept / "parts" / "talk" / ".posed-105.half").mkdir()
    footage_archives.sweep(kept, [footage])
    assert [f.name for f in first.parent.iterdir() if f.is_dir()] == ["posed-0"]

    seen = []

    def watched(work, tasks):
        seen.append([work.__name__, len(tasks)])
        if work is footage_archives.draw:
            assert first.stat().st_ctime_ns == made
        return one_by_one(work, tasks)

    footage_archives.make_archives(kept, [footage], watched)
    whole = contents(kept / "whole" / "talk")
    release()
    footage_archives.make_archives(tmp_path / "new", [footage], one_by_one)
    release()
    assert whole == contents(tmp_path / "new" / "whole" / "talk")
    assert not (kept / "parts" / "talk").exists()
    footage_archives.sweep(kept, [footage])
    assert footage_archives.missing(kept, [footage]) == []


def test_what_decides_the_content_decides_what_is_kept(tmp_path, talk, poses):
    path = tmp_path / "talk.mp4"
    path.write_bytes(talk.read_bytes())
    footage = footage_of(path)
    keys = {footage_archives.key(footage)}
    for change in (
        {"size": 128},
        {"fps": Fraction(5)},
        {"crop": upright_pictures.Crop(0, 0, 64)},
        {"explicit": False},
        {"figure": "openpose", "poses": poses},
    ):
        keys.add(footage_archives.key(footage_of(path, **change)))
    (poses / "007.json").write_text('{"people":     []}')
    keys.add(footage_archives.key(footage_of(path, figure="openpose", poses=poses)))
    os.utime(path, (1, 1))
    keys.add(footage_archives.key(footage_of(path)))
    assert len(keys) == 8

    kept = tmp_path / "kept"
    with pytest.raises(FileNotFoundError):  # its disk may be gone
        footage_archives.make_archives(kept, [footage_of(path)], one_by_one)
    kept.mkdir()
    footage_archives.make_archives(
        kept, [footage_of(path, figure="openpose", poses=poses)], one_by_one
    )
    assert (kept / "whole" / "talk").is_dir()
    footage_archives.sweep(kept, [footage_of(path)])
    footage_archives.tidy(kept)
    assert not kept.exists()


def test_the_account_names_what_bounds(talk):
    busy = {"decode": 2.1, "write": 0.21, "estimate": 10.5, "draw": 1.05}
    told = footage_archives.account(busy, [footage_of(talk)], 7.0, 2)
    assert "210 frames in 7 s, 30.0 a second with 2 workers" in told
    assert "decodes 100, writes 1000, estimates 20, draws 200 frames a second" in told
    assert "estimating takes 76% of its time and bounds it: more cores" in told
    assert "2 pieces of about 10 s" in footage_archives.account(busy, [footage_of(talk)], 7.0, 8)
