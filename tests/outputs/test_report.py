import dataclasses
import json
import re

import cv2
import numpy as np
import pytest

from lumiere_jax.outputs.mark import marked
from lumiere_jax.outputs.plots import COLOURS, line_plot
from lumiere_jax.outputs.report import Report, Sample, text_table, write_report
from lumiere_jax.systems.lumierenet.measures import EVALUATION


@pytest.fixture
def report():
    generator = np.random.default_rng(0)
    names = {name for _, _, rows in EVALUATION.sheets for name in rows}
    samples = [
        Sample(
            seconds=61.5 * i,
            pictures={n: generator.integers(0, 256, (64, 64, 3), np.uint8) for n in names},
        )
        for i in range(3)
    ]
    distances = {"mse": 84.25, "psnr": 28.91, "ssim": 0.905}
    return Report(
        title="ada: the test split",
        evaluation=EVALUATION,
        metrics={
            "vae": distances,
            "blstm": {"mse": 0.0042, "share_of_variance": 0.31},
            "seqpix2pix": {**distances, "mean_frame_psnr": 22.9},
            "video": {**distances, "mouth_correlation": 0.91, "mouth_lag_frames": -3},
        },
        pictures=samples,
        losses={
            "vae": [{"step": s, "loss": 1.0 / s, "val_psnr": 20.0 + s} for s in (1, 2, 3)],
            "blstm": [],
            "seqpix2pix": [],
        },
        tracks={},
        fps=30.0,
        facts={"Lecturer": "<script>alert('Ada & Co')</script>", "Measured": "3 frames"},
        config="{}",
        drawn=True,
    )


def test_numbers_are_written_as_they_are_and_shown_beside_the_papers(report, tmp_path):
    write_report(tmp_path, report)
    assert json.loads((tmp_path / "metrics.json").read_text()) == report.metrics
    page = (tmp_path / "index.html").read_text()
    for number in ("84.25", "28.91", "0.905", "0.0042", "−3", "78.97 / 77.39", "114.78"):
        assert number in page
    assert "✓ at least 0.8" in page and "✗ −1 to 1" in page


def test_pictures_are_kept_exactly_and_nothing_comes_from_elsewhere(report, tmp_path):
    write_report(tmp_path, report)
    page = (tmp_path / "index.html").read_text()
    files = re.findall(r'src="([^"]+)"', page)
    assert len(files) == 3 * sum(len(rows) for _, _, rows in EVALUATION.sheets)
    assert all((tmp_path / name).is_file() for name in files)
    assert not re.search(r'(src|href)="(https?:)?//', page) and "@import" not in page
    for name in ("frame", "figure", "spoken_figure", "spoken", "rendered"):
        stored = cv2.imread(str(tmp_path / "pictures" / f"2-{name}.png"))[..., ::-1]
        expected = report.pictures[2].pictures[name]
        if name in ("spoken", "rendered"):  # as in a video, what is synthetic says so
            expected = next(marked([expected]))
        assert np.array_equal(stored, expected)
    assert "2:03.0" in page


def test_what_users_wrote_is_text_and_never_markup(report, tmp_path):
    write_report(tmp_path, report)
    page = (tmp_path / "index.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_the_videos_appear_when_they_are_there(report, tmp_path):
    write_report(tmp_path, report)
    assert "<video" not in (tmp_path / "index.html").read_text()
    for name in ("synthesised.mp4", "real.mp4"):
        (tmp_path / name).touch()
    write_report(tmp_path, report)
    players = re.findall(r"<video[^>]*>", (tmp_path / "index.html").read_text())
    assert len(players) == 2 and all("controls" in player for player in players)
    # Both have the same sound, and it should be heard once.
    assert ["muted" in player for player in players] == [False, True]


def test_a_number_that_is_unknown_is_null_and_a_dash_and_one_that_is_not_a_number_is_refused(
    report, tmp_path
):
    video = {**report.metrics["video"], "mouth_lag_frames": None}
    unknown = dataclasses.replace(report, metrics={**report.metrics, "video": video})
    write_report(tmp_path, unknown)
    assert json.loads((tmp_path / "metrics.json").read_text())["video"]["mouth_lag_frames"] is None
    assert "✗ −1 to 1" in (tmp_path / "index.html").read_text()
    video = {**video, "mouth_correlation": float("nan")}
    with pytest.raises(ValueError, match="JSON"):
        write_report(
            tmp_path, dataclasses.replace(report, metrics={**report.metrics, "video": video})
        )


def test_curves_of_every_quantity_and_a_word_where_a_log_is_gone(report, tmp_path):
    write_report(tmp_path, report)
    page = (tmp_path / "index.html").read_text()
    assert re.findall(r'aria-label="([^"]+)"', page) == ["loss by step", "psnr by step"]
    assert page.count("No log of this stage is left") == 2
    # Held-out values are orange beside training values and alone.
    loss, psnr = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert COLOURS["training"] in loss and COLOURS["held out"] not in loss
    assert COLOURS["held out"] in psnr and COLOURS["training"] not in psnr


def test_tracks_are_drawn_for_the_drawn_lecturer(report, tmp_path):
    t = np.arange(90.0)
    tracks = {name: np.sin(t) for name in ("true", "real", "video")}
    tracks |= {f"{side}.{of}": np.cos(t) for side in ("left", "right") for of in ("real", "video")}
    tracks["left.video"][:] = np.nan  # a wrist that was never seen
    write_report(tmp_path, dataclasses.replace(report, tracks=tracks))
    labels = re.findall(r'aria-label="([^"]+)"', (tmp_path / "index.html").read_text())
    assert [label for label in labels if "over time" in label] == [
        "opening of the mouth over time",
        "height of the left wrist over time",
        "height of the right wrist over time",
    ]


def test_a_plot_takes_the_pages_colour_and_width():
    svg = line_plot({"a": ([0, 1], [1.0, 2.0]), "b": ([0, 1], [2.0, 1.0])}, name="two lines")
    opening = re.match(r"<svg[^>]*>", svg)[0]
    assert "viewBox" in opening and " width=" not in opening and " height=" not in opening
    assert "currentColor" in svg and "#010203" not in svg
    assert svg == line_plot(
        {"a": ([0, 1], [1.0, 2.0]), "b": ([0, 1], [2.0, 1.0])}, name="two lines"
    )


def test_a_plot_is_logarithmic_only_where_values_spread():
    wide = line_plot({"a": ([0, 1, 2], [1e-3, 1.0, 1e4])}, name="x")
    narrow = line_plot({"a": ([0, 1, 2], [1.0, 2.0, 3.0])}, name="x")
    signed = line_plot({"a": ([0, 1, 2], [-1e4, 1.0, 1e4])}, name="x")
    assert "mathdefault{10^" in wide
    assert "mathdefault{10^" not in narrow and "mathdefault{10^" not in signed


def test_the_printed_table_names_stage_measure_and_value(report):
    lines = text_table(report.metrics).splitlines()
    assert lines[0].split() == ["vae", "mse", "84.25"]
    assert len({len(line) for line in lines}) == 1
