"""The whole job at its smallest: a drawn lecturer, three stages, a narration, a report."""

import json
import math
import re
import shutil

import av
import chex
import numpy as np
import pytest
import soundfile

from lumiere_jax.commands.evaluate import evaluate
from lumiere_jax.commands.infer import infer
from lumiere_jax.commands.train import train
from lumiere_jax.commands.verify import find_mark
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.consent import consent_id
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.outputs.mark import ENOUGH
from lumiere_jax.outputs.video import read_record
from lumiere_jax.systems.lumierenet.system import stages
from lumiere_jax.training import checkpoint

RATE = 22_050


def contents(path):
    """Frames and samples of a channel in a video."""
    with av.open(str(path)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    with av.open(str(path)) as container:
        return frames, sum(frame.samples for frame in container.decode(audio=0))


def test_a_narration_becomes_a_video_of_its_length_that_says_what_it_is(workdir, tmp_path):
    samples = 13_001
    speech = 0.1 * np.random.default_rng(0).standard_normal((samples, 2))
    soundfile.write(tmp_path / "narration.wav", speech, RATE)
    frames = infer(
        workdir=workdir, audio=tmp_path / "narration.wav", out=tmp_path / "films" / "lecture.mp4"
    )
    assert frames == math.ceil(samples * 30 / RATE)
    seen, heard = contents(tmp_path / "films" / "lecture.mp4")
    assert seen == frames
    assert samples <= heard < samples + 1024  # AAC pads its last packet
    record = read_record(tmp_path / "films" / "lecture.mp4")
    assert record["synthetic"] is True
    assert "drawn by lumiere_jax" in record["who"]
    assert find_mark(tmp_path / "films" / "lecture.mp4") > ENOUGH


def test_consent_and_marks_outlast_resuming_and_moving(workdir, drawn, tiny, tmp_path):
    """From the dataset to the comment of a video, by a workdir that was resumed and copied."""
    moved = tmp_path / "elsewhere" / "ada"
    shutil.copytree(workdir, moved)
    config = tiny()
    config.seqpix2pix.steps += 1
    train(config=config, data=drawn, workdir=moved)
    consent = open_dataset(drawn).consent
    assert consent and json.loads((moved / "run.json").read_text())["consent"] == consent
    soundfile.write(tmp_path / "narration.wav", np.sin(np.arange(RATE) / 9) / 2, RATE)
    infer(workdir=moved, audio=tmp_path / "narration.wav", out=tmp_path / "a.mp4")
    record = read_record(tmp_path / "a.mp4")
    assert record["consent"] == consent_id(consent) and record["who"] == consent["who"]
    assert find_mark(tmp_path / "a.mp4") > ENOUGH


def test_the_report_has_every_number_and_shows_only_what_is_there(workdir, drawn, tmp_path):
    out = tmp_path / "report"
    returned = evaluate(workdir=workdir, data=drawn, split="test", out=out)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == returned
    assert list(metrics) == ["vae", "blstm", "seqpix2pix", "video"]
    for stage in ("vae", "seqpix2pix", "video"):
        assert {"mse", "psnr", "ssim"} <= set(metrics[stage])
        assert 0 < metrics[stage]["psnr"] < 60 and metrics[stage]["ssim"] <= 1
    assert metrics["blstm"]["mse"] > 0
    # An untrained G is no match for a still picture, and the mouth's detector is good.
    assert metrics["seqpix2pix"]["mean_frame_psnr"] > metrics["seqpix2pix"]["psnr"]
    video = metrics["video"]
    assert video["mouth_correlation_real_frames"] >= 0.95
    assert {"mouth_correlation", "mouth_lag_frames", "gesture_ratio"} <= set(video)
    assert abs(video["mouth_correlation_shuffled_audio"]) < 0.4

    page = (out / "index.html").read_text()
    shown = re.findall(r'src="([^"]+)"', page)
    assert len(shown) == 2 + 8 * 7
    assert all((out / name).is_file() for name in shown)
    for quantity in ("kl", "motion", "psnr"):
        assert f"{quantity} by step" in page

    frames = open_dataset(drawn).frames("test")
    for name in ("synthesised.mp4", "real.mp4"):
        seen, heard = contents(out / name)
        assert seen == frames
        assert 0 <= heard - frames * 16_000 // 30 < 1024
    assert read_record(out / "synthesised.mp4")["synthetic"] is True
    assert find_mark(out / "synthesised.mp4") > ENOUGH
    with pytest.raises(UserError, match="no record"):
        read_record(out / "real.mp4")
    assert find_mark(out / "real.mp4") < ENOUGH


def test_evaluating_again_replaces_the_report_and_leaves_nothing_beside_it(
    workdir, drawn, tmp_path
):
    out = tmp_path / "report"
    out.mkdir()
    (out / "metrics.json").write_text("an older report")
    (out / "stale.png").write_text("of the older report")
    metrics = evaluate(workdir=workdir, data=drawn, split="val", out=out)
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert not (out / "stale.png").exists() and not (out / ".lock").exists()
    # Nine frames are too few to tell how a mouth lags, but not for a report.
    assert metrics["video"]["mouth_lag_frames"] is None


def test_a_trained_workdir_is_done(workdir, drawn, tiny, capsys):
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("checkpoints/*")}
    train(config=tiny(), data=drawn, workdir=workdir)
    said = capsys.readouterr().out
    for line in ("vae: 4 steps are done", "blstm: 4 steps are done", "seqpix2pix: 2 steps are"):
        assert line in said
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("checkpoints/*")} == before


def test_a_stage_that_was_stopped_ends_where_it_would_have_bit_for_bit(
    workdir, drawn, tiny, tmp_path
):
    for steps in (2, 4):
        config = tiny()
        config.vae.steps = steps
        train(config=config, data=drawn, workdir=tmp_path / "run", stage="vae")
    stage = stages(tiny(), 64)["vae"]
    stopped, whole = (
        checkpoint.restore_frozen(folder, stage, "vae") for folder in (tmp_path / "run", workdir)
    )
    chex.assert_trees_all_equal(stopped, whole)


def test_a_stage_waits_for_the_stages_it_needs(drawn, tiny, tmp_path):
    with pytest.raises(UserError, match="stage 'blstm' needs 'vae'.*--stage=vae first"):
        train(config=tiny(), data=drawn, workdir=tmp_path / "run", stage="blstm")
    with pytest.raises(UserError, match="--stage=gan: choose all, vae, blstm, seqpix2pix"):
        train(config=tiny(), data=drawn, workdir=tmp_path / "run", stage="gan")


def test_a_run_goes_on_after_one_stage_and_evaluation_says_what_is_missing(
    workdir, drawn, tiny, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(workdir, run, ignore=shutil.ignore_patterns("blstm", "seqpix2pix"))
    with pytest.raises(UserError, match="no trained 'blstm' stage"):
        evaluate(workdir=run, data=drawn, split="test", out=tmp_path / "report")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    train(config=tiny(), data=drawn, workdir=run, stage="blstm")
    lines = (run / "blstm" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
