import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
import uv

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.footage import reading
from lumiere_jax.inputs.media import upright_pictures
from lumiere_jax.inputs.poses import mediapipe


def numbered(count, columns):
    points = np.zeros((count, columns), np.float32)
    points[:, 0] = np.arange(count)
    points[:, -1] = 1 if columns == 2 else 0.5
    return points


def test_the_body_is_mapped_by_name():
    pose = numbered(33, 3)
    pose[11, 2] = 0.25
    keypoints = mediapipe.to_keypoints(pose, None, None, None)
    wanted = [0, 11.5, 12, 14, 16, 11, 13, 15, 23.5, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7]
    wanted += [31, 0, 29, 32, 0, 30]
    np.testing.assert_array_equal(keypoints[:25, 0], wanted)
    absent = np.flatnonzero(keypoints[:25, 2] == 0)
    np.testing.assert_array_equal(absent, [20, 23])  # MediaPipe has no small toes
    assert keypoints[1, 2] == 0.25 and not keypoints[25:].any()


def test_hands_keep_their_order_and_side():
    left, right = numbered(21, 2), numbered(21, 2) + 100
    keypoints = mediapipe.to_keypoints(None, None, left, right)
    np.testing.assert_array_equal(keypoints[95:116, :2], left)
    np.testing.assert_array_equal(keypoints[116:, :2], right)
    assert (keypoints[95:, 2] == 1).all() and not keypoints[:95].any()


def test_the_face_is_mapped_from_the_persons_right():
    keypoints = mediapipe.to_keypoints(None, numbered(478, 2), None, None)[25:95]
    assert (keypoints[:, 2] == 1).all()
    known = {0: 127, 3: 95, 8: 152, 16: 356, 17: 70, 26: 300, 27: 87, 30: 4, 36: 33, 45: 263}
    known |= {48: 61, 54: 291, 57: 17, 60: 78, 62: 13, 64: 308, 66: 14, 68: 468, 69: 473}
    for place, source in known.items():
        assert keypoints[place, 0] == source, place


def test_a_program_that_cannot_start_says_what_to_do(tmp_path, monkeypatch):
    program = tmp_path / "holistic.py"
    program.write_text("import sys; print('some', file=sys.stderr); sys.exit('no network here')")
    monkeypatch.setattr(mediapipe, "_PROGRAM", program)
    with pytest.raises(UserError, match=r"holistic\.py cannot start \(no network here\).*--poses"):
        next(mediapipe.read_landmarks(iter(()), 64))


def echo(tmp_path, monkeypatch, body):
    """A stand-in for the program, without dependencies."""
    program = tmp_path / "holistic.py"
    program.write_text(
        "import sys, os, time\nout = sys.stdout.buffer\nout.write(b'ready\\n'); out.flush()\n"
        "side, size = int(sys.argv[1]), int(sys.argv[2])\n"
        "picture = 2 + side * side * 3\n"
        "record = 4 + 4 * (99 + 956 + 84 + 34) + (size * size + 7) // 8\n" + body
    )
    monkeypatch.setattr(mediapipe, "_PROGRAM", program)


PICTURE = np.zeros((mediapipe.SIDE, mediapipe.SIDE, 3), np.uint8)


def test_pictures_go_in_and_landmarks_come_out_in_order(tmp_path, monkeypatch):
    """A silhouette of 1024 px is larger than a pipe: neither side may wait for the other."""
    echo(
        tmp_path,
        monkeypatch,
        "while data := sys.stdin.buffer.read(picture):\n"
        "    out.write(bytes([0, 0, 1, 0]) + bytes(4 * (99 + 956 + 84 + 34)))\n"
        "    out.write(bytes([data[2]]) * ((size * size + 7) // 8)); out.flush()\n",
    )
    pictures = (PICTURE + np.uint8(255 * (i % 2)) for i in range(9))
    read = list(mediapipe.read_landmarks(pictures, 1024))
    assert [silhouette.all() for _, silhouette in read] == [False, True] * 4 + [False]
    assert all(keypoints[95:116, 2].all() for keypoints, _ in read)


def test_a_video_begins_afresh_and_faces_are_chosen_by_their_places(tmp_path, monkeypatch):
    """The stand-in gives its two bytes of each picture back as seconds and as the face followed."""
    echo(
        tmp_path,
        monkeypatch,
        "import struct\n"
        "while data := sys.stdin.buffer.read(picture):\n"
        "    told = struct.pack('<2f', data[0], data[1])\n"
        "    out.write(bytes(4 + 4 * (99 + 956 + 84)) + told + bytes(record)[-128 - 8:])\n"
        "    out.flush()\n",
    )
    with mediapipe.open_estimator(8) as estimate:
        free = [(f.seconds, f.followed) for f in estimate(iter([PICTURE] * 3))]
        told = [(f.seconds, f.followed) for f in estimate(iter([PICTURE] * 3), [1, -1, 0])]
    assert free == [(1, 255), (0, 255), (0, 255)]
    assert told == [(1, 1), (0, 254), (0, 0)]


def test_installing_is_told_of_and_done_once(tmp_path, monkeypatch, capsys):
    """The stand-in counts as installed from its second start on, and needs no network then."""
    program = tmp_path / "holistic.py"
    program.write_text(
        "import pathlib, sys\nthere = pathlib.Path(__file__).with_name('there')\n"
        "known = there.exists()\nthere.touch()\nsys.exit(not known)\n"
    )
    monkeypatch.setattr(mediapipe, "_PROGRAM", program)
    mediapipe.install()
    assert "installing the pose program (once)" in capsys.readouterr().err
    mediapipe.install()
    assert not capsys.readouterr().err
    program.write_text("raise SystemExit('no network here')")
    with pytest.raises(UserError, match="cannot start .no network here.*--poses"):
        mediapipe.install()


UV = """#!{python}
import json, os, pathlib, sys
with pathlib.Path(__file__).with_name("calls").open("a") as calls:
    calls.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
sys.exit({code} if sys.argv[1] == "python" else "uv said no")
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Runs the program by a stand-in for uv that starts nothing; gives what uv was called with."""

    def start(requires, found=True):
        program, stand_in = tmp_path / "holistic.py", tmp_path / "uv"
        program.write_text(f'# /// script\n# requires-python = "{requires}"\n# ///\n')
        stand_in.write_text(UV.format(python=sys.executable, code=int(not found)))
        stand_in.chmod(0o755)
        monkeypatch.setattr(mediapipe, "_PROGRAM", program)
        monkeypatch.setattr(uv, "find_uv_bin", lambda: str(stand_in))
        for name in ("UV_PYTHON", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"):
            monkeypatch.setenv(name, "")  # what would lead elsewhere is not even there empty
        with pytest.raises(UserError) as error:
            mediapipe.install()
        told = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
        return told, str(error.value)

    return start


def test_the_programs_header_chooses_its_python(calls):
    told, _ = calls("<3.0")
    assert [arguments[0] for arguments, _ in told] == ["run", "run", "python"]
    assert not any("--python" in arguments for arguments, _ in told)
    leading = {"UV_PYTHON", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"}
    assert not any(leading & environment.keys() for _, environment in told)


def test_this_python_is_taken_where_the_header_allows_it(calls):
    told, _ = calls(">=3.11")
    for arguments, _ in told:
        assert arguments[arguments.index("--python") + 1] == sys.executable


def test_where_no_python_suits_the_remedy_is_one_sentence(calls):
    _, said = calls("<3.0", found=False)
    assert said == (
        "The pose program holistic.py needs Python <3.0, and none is found: install one, as by "
        "uv python install '<3.0'; or bring poses with --figure=openpose or --figure=densepose and "
        "--poses=DIR."
    )
    _, said = calls("<3.0", found=True)
    assert "cannot start (uv said no)" in said


def test_an_error_in_the_footage_reaches_the_reader(tmp_path, monkeypatch):
    echo(
        tmp_path,
        monkeypatch,
        "while sys.stdin.buffer.read(picture): out.write(bytes(record)); out.flush()\n",
    )

    def pictures():
        yield PICTURE
        raise UserError("the clip broke")

    read = mediapipe.read_landmarks(pictures(), 64)
    next(read)
    with pytest.raises(UserError, match="the clip broke"):
        next(read)


def test_the_program_ends_when_nobody_reads_on(tmp_path, monkeypatch):
    note = tmp_path / "pid"
    echo(
        tmp_path,
        monkeypatch,
        f"open({str(note)!r}, 'w').write(str(os.getpid()))\n"
        "while sys.stdin.buffer.read(picture): out.write(bytes(record)); out.flush()\n",
    )
    read = mediapipe.read_landmarks(iter([PICTURE] * 100), 64)
    next(read)
    read.close()
    wait_for_end(int(note.read_text()))


def wait_for_end(pid):
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the program lives on")


@pytest.fixture(scope="module")
def one_second():
    """The first poses of real footage; the first use installs mediapipe in its environment."""
    import pathlib

    clip = pathlib.Path(__file__).resolve().parents[4] / "shared/footage/gestures.mp4"
    if not clip.is_file():
        pytest.skip("needs the real footage in ../shared, which is not part of the project")
    fps, crop = Fraction(10), upright_pictures.Crop(0, 420, 1080)
    pictures = [picture for _, picture in reading.read_frames(clip, fps, mediapipe.SIDE, crop)][:10]
    return list(mediapipe.read_landmarks(iter(pictures), 128))


def test_real_footage_gives_a_whole_person(one_second):
    keypoints = np.stack([points for points, _ in one_second])
    assert (keypoints[:, 25:95, 2] == 1).all()
    assert (keypoints[:, 95, 2] > 0).mean() > 0.7 and (keypoints[:, 116, 2] > 0).mean() > 0.7
    x, y = keypoints[..., 0], keypoints[..., 1]
    assert (x[:, 2] < x[:, 5]).all()  # his right shoulder is at the picture's left
    assert (x[:, 25 + 0] < x[:, 25 + 16]).all() and (y[:, 25 + 8] > y[:, 25 + 27]).all()
    assert (x[:, 25 + 36] < x[:, 25 + 68]).all() and (x[:, 25 + 68] < x[:, 25 + 39]).all()
    with_hand = keypoints[:, 116, 2] > 0
    assert np.hypot(x[:, 116] - x[:, 4], y[:, 116] - y[:, 4])[with_hand].max() < 0.1
    share = np.mean([silhouette.mean() for _, silhouette in one_second])
    assert 0.25 < share < 0.6


@pytest.mark.parametrize("side", ["left", "right"])
def test_of_two_people_the_one_with_the_larger_face_is_followed(shared, side):
    """Holistic alone would take the other, of whom it sees more of the body."""
    clips = [
        ("portrait.mp4", None, 307),
        ("gestures.mp4", upright_pictures.Crop(0, 420, 1080), 205),
    ]
    pictures = np.full((10, mediapipe.SIDE, mediapipe.SIDE, 3), 90, np.uint8)
    for name, crop, small in clips:
        place = slice(0, small) if (small == 307) == (side == "left") else slice(-small, None)
        frames = reading.read_frames(shared / "footage" / name, Fraction(10), small, crop)
        for picture, (_, frame) in zip(pictures, frames, strict=False):
            picture[-small:, place] = frame
    noses = [points[0, 0] for points, _ in mediapipe.read_landmarks(iter(pictures), 64)]
    assert all((x < 0.6) if side == "left" else (x > 0.4) for x in noses)


def test_the_program_ends_with_the_process_that_started_it(one_second, tmp_path):
    """Killed outright, a parent cannot tidy up; a forked child may still hold the pipe open."""
    import uv

    parent = subprocess.Popen(["sleep", "60"])
    command = [uv.find_uv_bin(), "run", "--no-project", "--script", str(mediapipe._PROGRAM)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = subprocess.Popen(
        [*command, "512", "64", str(parent.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        assert program.stdout.readline() == b"ready\n"
        parent.kill()
        parent.wait()
        assert program.wait(timeout=10) != 0
    finally:
        program.kill()
        program.communicate()
