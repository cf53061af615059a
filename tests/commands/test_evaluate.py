import dataclasses
import pathlib
import shutil

import numpy as np
import pytest

from lumiere_jax.commands.evaluate import _finders, evaluate
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.lectures import open_dataset, write_description
from lumiere_jax.measures import frame_comparison, summaries
from lumiere_jax.runtime.output_folders import built_aside
from lumiere_jax.systems.lumierenet.measures import EVALUATION


def test_shuffled_rows_are_the_same_rows_and_no_block_keeps_its_place():
    rows = np.arange(820.0)[:, None].repeat(40, 1)
    wrong = frame_comparison.shuffled(rows, 30)
    assert np.array_equal(np.sort(wrong, axis=0), rows)
    assert np.mean(wrong == rows) < 0.02
    assert np.array_equal(wrong, frame_comparison.shuffled(rows, 30))
    # Whole blocks move, so that what is heard is still speech.
    assert np.mean(np.diff(wrong[:, 0]) == 1) > 0.95
    assert frame_comparison.shuffled(rows[:3], 30).shape == (3, 40)


@pytest.fixture
def report(tmp_path):
    """A folder with an older report, which is to be replaced."""
    out = tmp_path / "report"
    out.mkdir()
    (out / "metrics.json").write_text("older")
    return out


def test_a_result_comes_whole_and_an_older_one_stays_until_then(report, monkeypatch):
    with pytest.raises(ZeroDivisionError), built_aside(report, "metrics.json") as folder:
        (folder / "metrics.json").write_text("newer")
        _ = 1 / 0
    assert (report / "metrics.json").read_text() == "older"

    replace = pathlib.Path.replace

    def stopped(self, target):
        if self.name == ".report.partial":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(pathlib.Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt), built_aside(report, "metrics.json") as folder:
        (folder / "metrics.json").write_text("newer")
    assert (report / "metrics.json").read_text() == "older"
    monkeypatch.undo()

    # Runs were killed after the two renames, and between them.
    shutil.copytree(report, report.with_name(".report.old"))
    with built_aside(report, "metrics.json") as folder:
        (folder / "metrics.json").write_text("older")
    report.rename(report.with_name(".report.old"))
    with built_aside(report, "metrics.json") as folder:
        assert (report / "metrics.json").read_text() == "older"
        (folder / "metrics.json").write_text("newer")
    assert [path.name for path in report.parent.iterdir()] == ["report"]
    assert (report / "metrics.json").read_text() == "newer"


def test_the_current_folder_cannot_be_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--out=. cannot be replaced as a whole"):
        with built_aside(pathlib.Path("."), "metrics.json"):
            pytest.fail("the work has begun")
    assert not list(tmp_path.iterdir())


def part(frames, **values):
    pictures = {
        f"{stage}.{name}": np.full(frames, 1.0)
        for stage in ("vae", "seqpix2pix", "video")
        for name in ("mse", "psnr", "ssim")
    }
    basic = {"blstm.mse": np.ones(frames), "z": np.zeros((frames, 2))}
    return {**pictures, **basic, **values}


def test_summary_is_the_mean_over_frames_and_finite_for_equal_pictures():
    long = part(30, **{"vae.psnr": np.full(30, 20.0)})
    short = part(10, **{"vae.psnr": np.full(10, np.inf)})
    assert summaries.summarise([long, short], ["vae"])["vae"]["psnr"] == pytest.approx(40.0)


def test_always_saying_the_mean_code_misses_all_of_the_variance():
    z = np.random.default_rng(0).normal(3, [1, 5], (50, 2))
    error = ((z - z.mean(0)) ** 2).mean(1)
    more = EVALUATION.summarise([part(50, z=z, **{"blstm.mse": error})])
    assert more == {"blstm": {"share_of_variance": pytest.approx(1.0)}}


def drawn_part(frames, late=0, sign=1.0, seed=0):
    generator = np.random.default_rng(seed)
    signal = np.convolve(generator.normal(size=frames + 20), np.ones(4), "same")
    true, video = signal[10 : frames + 10], signal[10 - late : frames + 10 - late]
    wrists = generator.uniform(0.4, 0.6, (frames, 2, 2))
    return {
        **part(frames),
        "aperture.true": true,
        "aperture.real": 2 * true + 1,
        "aperture.video": sign * video,
        "aperture.shuffled": generator.normal(size=frames),
        "wrists.real": wrists,
        "wrists.video": 0.5 * wrists,
    }


def apertures(parts, name="video"):
    return [(part[f"aperture.{name}"], part["aperture.true"]) for part in parts]


def test_known_answer_finds_correlation_lag_and_liveliness():
    parts = [drawn_part(300, late=2)]
    assert summaries.mouth_motion(apertures(parts))["mouth_lag_frames"] == 2
    found = summaries.summarise(parts, ["video"])["video"] | EVALUATION.summarise(parts)["video"]
    assert found["mouth_correlation_real_frames"] == pytest.approx(1)
    assert abs(found["mouth_correlation_shuffled_audio"]) < 0.3
    assert found["gesture_ratio"] == pytest.approx(0.25)
    assert found["mouth_movement"] == pytest.approx(0.5, rel=0.05)  # real ones are 2 · true + 1


def test_the_mouth_of_a_still_does_not_move_whatever_its_correlation():
    true = drawn_part(300)["aperture.true"]
    seen = np.where(np.arange(300) < 200, true, np.nan)
    assert summaries.mouth_movement([(0.1 * seen, true), (0.1 * true + 3, true)]) < 0.11
    assert summaries.mouth_movement([(np.full(300, 0.2), true)]) == pytest.approx(0)
    assert summaries.mouth_movement([(true, np.full(300, 0.2))]) is None
    assert summaries.mouth_movement([(np.full(300, np.nan), true)]) is None


def test_known_answer_weighs_segments_by_frames_and_leaves_out_the_shortest():
    parts = [drawn_part(300), drawn_part(100, sign=-1.0, seed=1), drawn_part(5, seed=2)]
    assert summaries.mouth_motion(apertures(parts)) == {
        "mouth_correlation": pytest.approx(0.5),
        "mouth_lag_frames": 0,
    }
    short = parts[2:]
    found = summaries.summarise(short, ["video"])["video"] | EVALUATION.summarise(short)["video"]
    assert {name for name, value in found.items() if value is None} == {
        "mouth_correlation",
        "mouth_lag_frames",
        "mouth_correlation_real_frames",
        "mouth_correlation_shuffled_audio",
        "gesture_ratio",
    }


def test_a_mouth_that_is_found_in_half_of_the_frames_is_judged_by_them_and_in_fewer_not():
    true = drawn_part(300)["aperture.true"]
    seen = np.arange(300) < 150
    made = np.where(seen, 2 * true, np.nan)
    assert summaries.mouth_motion([(made, true)]) == {
        "mouth_correlation": pytest.approx(1),
        "mouth_lag_frames": 0,
    }
    made[0] = np.nan
    assert set(summaries.mouth_motion([(made, true)]).values()) == {None}
    distances = {"mouth_landmark_distance": np.where(seen, 3.0, np.nan)}
    assert summaries.averages(distances) == {"mouth_landmark_distance": 3.0, "face_found": 0.5}
    distances["mouth_landmark_distance"][0] = np.nan
    assert summaries.averages(distances)["mouth_landmark_distance"] is None


def test_frames_without_a_measure_are_left_out_and_without_any_it_is_none():
    values = {"hands_psnr": np.array([np.nan, 20, 30]), "face_psnr": np.full(3, np.nan)}
    assert summaries.averages(values) == {"hands_psnr": 25.0, "face_psnr": None}


def frames_and_keypoints(n):
    generator = np.random.default_rng(0)
    true = generator.integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)
    made = np.clip(true + generator.normal(0, 9, true.shape), 0, 255).astype(np.uint8)
    keypoints = np.zeros((n, 137, 3), np.float32)
    keypoints[:, 25:95] = generator.uniform(0.4, 0.6, (n, 70, 3))
    keypoints[:, 25:95, 2] = 1
    return made, true, keypoints


def test_frames_are_compared_alike_in_one_piece_and_in_many():
    """Also where a piece is longer than a batch, and where it is a single frame."""
    made, true, keypoints = frames_and_keypoints(19)
    whole = frame_comparison.compare(made, true, keypoints)
    pieces, before = [], None
    for piece in (slice(0, 11), slice(11, 12), slice(12, 19)):
        pieces.append(frame_comparison.compare(made[piece], true[piece], keypoints[piece], before))
        before = made[piece][-1], true[piece][-1]
    for name, values in whole.items():
        joined = np.concatenate([piece[name] for piece in pieces])
        np.testing.assert_allclose(joined, values, rtol=1e-5, err_msg=name)
    assert np.isfinite(whole["mouth_psnr"]).all() and np.isnan(whole["hands_psnr"]).all()
    assert np.isnan(whole["flicker"]).nonzero()[0].tolist() == [0]


def test_the_mouths_distance_is_in_pixels_and_beside_it_in_widths():
    _, _, true = frames_and_keypoints(2)
    made = true.copy()
    made[0, 73:93, :2] += 0.1  # elsewhere, but the same
    lips = made[1, 73:93, :2]
    lips[:] = lips.mean(0) + 2 * (lips - lips.mean(0))
    radius = np.linalg.norm(true[1, 73:93, :2] - true[1, 73:93, :2].mean(0), axis=1).mean()
    width = np.linalg.norm(true[1, 79, :2] - true[1, 73, :2])
    found = frame_comparison.compare_mouths(made, true, (200, 200))
    np.testing.assert_allclose(
        found["mouth_landmark_distance"], [0, 200 * radius], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        found["relative_mouth_landmark_distance"][1], radius / width, rtol=1e-4
    )


def test_without_the_pose_program_a_line_says_so_and_the_rest_is_measured(monkeypatch, capsys):
    def refuses():
        raise UserError("holistic.py cannot start.")

    monkeypatch.setattr("lumiere_jax.commands.evaluate.open_finder", refuses)
    with _finders(EVALUATION, drawn=False) as finders:
        assert finders is None
    assert "mouth's motion is not measured. holistic.py cannot" in capsys.readouterr().err
    with _finders(EVALUATION, drawn=True) as finders:
        assert finders is None
    assert not capsys.readouterr().err


def test_an_old_report_stays_until_the_new_one_is_whole(tmp_path):
    out = tmp_path / "report"
    for text in ("first", "second"):
        with built_aside(out, "metrics.json") as folder:
            (folder / "metrics.json").write_text(text)
    with pytest.raises(RuntimeError), built_aside(out, "metrics.json") as folder:
        (folder / "metrics.json").write_text("half")
        raise RuntimeError
    assert (out / "metrics.json").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_place_that_is_no_report_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    file = tmp_path / "file"
    file.write_text("")
    for out, message in (
        (tmp_path / "thesis", "holds other files"),
        (file, "is a file"),
        (file / "report", "cannot be written"),
    ):
        with (
            pytest.raises(UserError, match=f"--out={out} {message}"),
            built_aside(out, "metrics.json"),
        ):
            pytest.fail("nothing may be measured for a report that cannot be written")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


def test_mistakes_are_named_before_anything_is_measured(workdir, drawn, tmp_path):
    out = tmp_path / "report"

    def refused(message, **changes):
        given = {"workdir": workdir, "data": drawn, "split": "test", "out": out, **changes}
        with pytest.raises(UserError, match=message):
            evaluate(**given)
        assert not out.exists()

    dataset = open_dataset(drawn)
    for name, changed in (
        ("larger", {"size": 128}),
        ("cut", {"segments": tuple(s for s in dataset.segments if s.split != "val")}),
    ):
        (tmp_path / name).mkdir()
        write_description(dataclasses.replace(dataset, folder=tmp_path / name, **changed))

    refused("--split=tset: choose one of train, val, test", split="tset")
    refused("holds no dataset", data=tmp_path / "nowhere")
    refused("is not a trained workdir", workdir=tmp_path / "nowhere")
    refused("trained with 64 px and .*larger has 128 px", data=tmp_path / "larger")
    refused("--split=val: .* has no frames", data=tmp_path / "cut", split="val")
