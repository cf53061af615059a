import dataclasses
import pathlib
import shutil

import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.lectures import open_dataset, write_description
from lumiere_jax.workflows import measures
from lumiere_jax.workflows.evaluate import evaluate
from lumiere_jax.workflows.folders import built_aside


def test_shuffled_rows_are_the_same_rows_and_no_block_keeps_its_place():
    rows = np.arange(820.0)[:, None].repeat(40, 1)
    wrong = measures.shuffled(rows, 30)
    assert np.array_equal(np.sort(wrong, axis=0), rows)
    assert np.mean(wrong == rows) < 0.02
    assert np.array_equal(wrong, measures.shuffled(rows, 30))
    # Whole blocks move, so that what is heard is still speech.
    assert np.mean(np.diff(wrong[:, 0]) == 1) > 0.95
    assert measures.shuffled(rows[:3], 30).shape == (3, 40)


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

    rename = pathlib.Path.rename

    def stopped(self, target):
        if self.name == ".report.partial":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(pathlib.Path, "rename", stopped)
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
    basic = {"mean_frame.psnr": np.full(frames, 20.0), "blstm.mse": np.ones(frames)}
    return {**pictures, **basic, "z": np.zeros((frames, 2)), **values}


def test_summary_is_the_mean_over_frames_and_finite_for_equal_pictures():
    long = part(30, **{"vae.psnr": np.full(30, 20.0)})
    short = part(10, **{"vae.psnr": np.full(10, np.inf)})
    assert measures.summary([long, short])["vae"]["psnr"] == pytest.approx(40.0)


def test_always_saying_the_mean_code_misses_all_of_the_variance():
    z = np.random.default_rng(0).normal(3, [1, 5], (50, 2))
    error = ((z - z.mean(0)) ** 2).mean(1)
    assert measures.summary([part(50, z=z, **{"blstm.mse": error})])["blstm"] == {
        "mse": pytest.approx(error.mean()),
        "share_of_variance": pytest.approx(1.0),
    }


def drawn_part(frames, late=0, sign=1.0, seed=0):
    generator = np.random.default_rng(seed)
    signal = np.convolve(generator.normal(size=frames + 20), np.ones(4), "same")
    true, video = signal[10 : frames + 10], signal[10 - late : frames + 10 - late]
    wrists = generator.uniform(0.4, 0.6, (frames, 2, 2))
    return {
        "aperture.true": true,
        "aperture.real": 2 * true + 1,
        "aperture.video": sign * video,
        "aperture.shuffled": generator.normal(size=frames),
        "wrists.real": wrists,
        "wrists.video": 0.5 * wrists,
    }


def test_known_answer_finds_correlation_lag_and_liveliness():
    found = measures.known_answer([drawn_part(300, late=2)])
    assert found["mouth_lag_frames"] == 2
    assert found["mouth_correlation_real_frames"] == pytest.approx(1)
    assert abs(found["mouth_correlation_shuffled_audio"]) < 0.3
    assert found["gesture_ratio"] == pytest.approx(0.25)


def test_known_answer_weighs_segments_by_frames_and_leaves_out_the_shortest():
    parts = [drawn_part(300), drawn_part(100, sign=-1.0, seed=1), drawn_part(5, seed=2)]
    found = measures.known_answer(parts)
    assert found["mouth_correlation"] == pytest.approx(0.5)
    assert found["mouth_lag_frames"] == 0
    assert set(measures.known_answer(parts[2:]).values()) == {None}


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
