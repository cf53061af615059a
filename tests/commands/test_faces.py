"""Datasets of faces, drawn and filmed: who is in which split, and where the faces are."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import av
import chex
import cv2
import numpy as np
import pytest

from lumiere_jax.commands.evaluate import evaluate
from lumiere_jax.commands.experiments import experiment
from lumiere_jax.commands.infer import infer
from lumiere_jax.commands.live import live
from lumiere_jax.commands.prepare import prepare
from lumiere_jax.commands.train import train
from lumiere_jax.errors import UserError
from lumiere_jax.figures.face import mean_face
from lumiere_jax.inputs.dataset.consent import consent_id, read_consent
from lumiere_jax.inputs.dataset.geometry import FACE
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.faces.alignment import EYES, POINTS, WIDTH
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.keypoints import FACE as FACE_PLACES
from lumiere_jax.measures import drawn_lecturer, metrics
from lumiere_jax.outputs.video import read_record
from lumiere_jax.systems import registry
from lumiere_jax.systems.lumierenet.experiments.paper_and_ablation import paper_experiment
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows import drawn_dataset
from lumiere_jax.workflows.workdir import read_run


@pytest.fixture(scope="module")
def faces(made_once):
    """Two faces to train on, a second and a half each, and one each to validate and to test."""

    def make(folder):
        whole = drawn_dataset.read_narration
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(drawn_dataset, "read_narration", lambda path: whole(path)[: 10 * 16_000])
            given = {"out": str(folder), "synthetic": True, "align": "face"}
            prepare({**given, "speakers": 4, "minutes": 0.1, "seed": 3})

    return open_dataset(made_once("faces", make))


def test_each_drawn_face_is_in_one_split(faces):
    assert faces.geometry is FACE and faces.shape == (128, 96) and faces.fps == 25
    assert [(s.split, s.clip, s.frames) for s in faces.segments] == [
        ("train", "face-3", 75),
        ("train", "face-4", 75),
        ("val", "face-5", 12),
        ("test", "face-6", 250),
    ]
    assert len({s.speaker for s in faces.segments}) == 4
    assert "4 faces of a lecturer drawn by lumiere_jax" in faces.consent["who"]


def test_the_words_that_are_measured_are_not_trained_on(faces):
    train, other, val, test = (faces.samples(s, 0, int(s.frames * 640)) for s in faces.segments)
    assert abs(np.corrcoef(train, other)[0, 1]) < 0.2, "both begin at the same place"
    whole = drawn_dataset.read_narration(drawn_dataset.lecturer.narration("first"))[: 10 * 16_000]
    np.testing.assert_allclose(val, whole[-len(whole) // 20 :][: len(val)], atol=1e-4)
    second = drawn_dataset.read_narration(drawn_dataset.lecturer.narration("second"))
    np.testing.assert_allclose(test, second[: len(test)], atol=1e-4)


def five_points(dataset, split):
    points = np.stack([r["keypoints"] for r in dataset.records(split)])
    return points[:, [FACE_PLACES.start + i for i in POINTS], :2] * dataset.shape[::-1]


def from_the_mean_face(dataset, split):
    """How far the five points, and their middle, are from where they belong, in face widths, at
    most."""
    rows, cols = dataset.shape
    target = mean_face()[0][list(POINTS)] * WIDTH * cols + np.array(EYES) * (cols, rows)
    away = (five_points(dataset, split) - target) / (WIDTH * cols)
    return np.linalg.norm(away, axis=-1).max(), np.linalg.norm(away.mean(1), axis=-1).max()


def test_drawn_faces_are_where_the_mean_face_is(faces):
    for split in ("train", "val", "test"):
        points, middle = from_the_mean_face(faces, split)
        # A drawn nose is shorter than the mean one.
        assert points < 0.25 and middle < 1e-4


def test_the_mouth_is_measured_in_aligned_faces(faces):
    for segment in faces.segments:
        if segment.split in ("train", "test"):
            records = faces.records(segment.split)
            known = [records[segment.offset + i] for i in range(segment.frames)]
            frames = np.stack([picture_bytes.decode(r["frame"]) for r in known])
            found = drawn_lecturer.measure_aperture(frames, aligned=True)
            assert metrics.pearson(found, np.array([r["aperture"] for r in known])) > 0.93


def test_stills_are_the_first_faces_of_those_who_are_not_trained_on(faces):
    stills = sorted((faces.folder / "stills").iterdir())
    assert [path.name for path in stills] == ["test-face-6.png", "val-face-5.png"]
    first = picture_bytes.decode(faces.records("test")[0]["frame"])
    np.testing.assert_array_equal(picture_bytes.decode(stills[0].read_bytes()), first)


@pytest.fixture(scope="module")
def trained(faces, faces_presets, made_once):
    """A workdir of the preset `tiny-l1`, which compiles soonest."""
    config = faces_presets.get_config("tiny-l1")
    return made_once("talk", lambda folder: train(config=config, data=faces.folder, workdir=folder))


def frames_of(path):
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def test_a_still_speaks_a_narration_in_a_marked_video(trained, faces, speech, consent, tmp_path):
    still, out = faces.folder / "stills" / "test-face-6.png", tmp_path / "talk.mp4"
    assert infer(workdir=trained, audio=speech, image=still, out=out) == 7
    made = frames_of(out)
    assert made.shape == (7, 128, 96, 3)
    told = read_record(out)
    assert told["synthetic"] is True and "4 faces of a lecturer drawn" in told["who"]
    digest = hashlib.sha256(picture_bytes.decode(still.read_bytes()).tobytes()).hexdigest()
    assert told["face"] == {"sha256": digest}
    again = tmp_path / "again.mp4"
    infer(workdir=trained, audio=speech, image=still, out=again, consent=consent)
    agreed = read_consent(consent)
    shown = {"sha256": digest, "who": agreed["who"], "consent": consent_id(agreed)}
    assert read_record(again)["face"] == shown
    np.testing.assert_array_equal(frames_of(again), made)


def test_a_face_is_put_back_into_its_picture(trained, portrait, speech, tmp_path):
    picture = np.full((600, 1000, 3), 90, np.uint8)
    picture[100:558, 500:958] = portrait
    still, out = tmp_path / "ada.png", tmp_path / "talk.mp4"
    cv2.imwrite(str(still), picture[..., ::-1])
    infer(workdir=trained, audio=speech, image=still, paste=True, out=out)
    made = frames_of(out)
    assert made.shape == (7, *picture.shape)
    away = np.abs(made.astype(int) - picture)
    # The label is in the lower right corner.
    assert away[:, :, :450].mean() < 2 and away[:, :90].mean() < 2
    face = away[:, 200:450, 600:850]
    assert face.mean() > 10


def test_training_knows_its_epoch_and_goes_on_where_it_was(trained, faces, faces_presets, capsys):
    run = read_run(trained)
    # Two clips of 75 frames in sequences of six, each also mirrored, two in a batch.
    assert run.config.animator.epoch == 2 * 2 * 13 // 2
    assert run.geometry is FACE and run.shape == (128, 96)
    train(config=faces_presets.get_config("tiny-l1"), data=faces.folder, workdir=trained)
    assert "animator: 4 steps are done already" in capsys.readouterr().out


def test_epochs_of_a_few_steps_are_refused_where_patience_would_end(faces, faces_presets, tmp_path):
    config = faces_presets.get_config("tiny")
    config.animator.frames, config.animator.batch = 75, 2
    with pytest.raises(UserError, match="makes epochs of 2 steps, and 10 without a gain end"):
        train(config=config, data=faces.folder, workdir=tmp_path / "run")
    assert not list(tmp_path.iterdir())
    config.animator.patience = 0
    assert registry.get("temporal_gan").fit(config, faces).animator.epoch == 2


@pytest.mark.slow
def test_an_animator_that_was_stopped_ends_where_it_would_have_bit_for_bit(
    faces, faces_presets, tmp_path
):
    config = faces_presets.get_config("tiny")
    for name, steps in (("stopped", 2), ("stopped", 4), ("whole", 4)):
        config.animator.steps = steps
        train(config=config, data=faces.folder, workdir=tmp_path / name)
    stage = registry.get("temporal_gan").stages(config, faces.shape)["animator"]
    stopped, whole = (
        checkpoint.restore_frozen(tmp_path / name, stage) for name in ("stopped", "whole")
    )
    chex.assert_trees_all_equal(stopped, whole)


@pytest.mark.slow
def test_faces_are_measured_beside_their_stills(trained, faces, tmp_path):
    out = tmp_path / "report"
    vectors = tmp_path / "vectors.npz"
    np.savez(vectors, still=[1.0, 0.0], frames=[[0.0, 2.0]])
    said, read = tmp_path / "said.txt", tmp_path / "read.txt"
    said.write_text("lay red with p\n")
    read.write_text("lay red by p\n")
    brought = {"embedding": vectors, "references": said, "hypotheses": read}
    metrics = evaluate(workdir=trained, data=faces.folder, out=out, **brought)
    assert json.loads((out / "metrics.json").read_text()) == metrics and list(metrics) == ["video"]
    video = metrics["video"]
    # Untrained, it is no match for its still.
    assert video["psnr"] < video["still_psnr"] and video["ssim"] < 1
    assert video["frequency_sharpness"] != video["real_frequency_sharpness"]
    assert video["mouth_correlation_real_frames"] > 0.93
    assert {
        "mouth_correlation_shuffled_audio",
        "mouth_correlation",
        "mouth_lag_frames",
        "mouth_psnr",
        "flicker",
    } <= set(video)
    assert video["face_distance"] == pytest.approx(2**0.5)
    assert video["word_error_rate"] == 0.25
    page = (out / "index.html").read_text()
    assert "PSNR of the still" in page and "27.98" in page and "SeqPix2Pix" not in page
    assert frames_of(out / "synthesised.mp4").shape == (250, 128, 96, 3)
    assert read_record(out / "synthesised.mp4")["synthetic"] is True
    shown = [
        picture_bytes.decode(p.read_bytes()) for p in sorted((out / "pictures").glob("*-still.png"))
    ]
    first = picture_bytes.decode((faces.folder / "stills" / "test-face-6.png").read_bytes())
    assert len(shown) == 8 and all((still == first).all() for still in shown)


def test_distances_of_faces_are_those_of_a_network_that_is_brought(trained, faces, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, out = onnx.helper, tmp_path / "report"
    shape = (1, 3, 8, 8)
    x, y = (helper.make_tensor_value_info(name, 1, shape) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    network = tmp_path / "face.onnx"
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(network))
    given = {"workdir": trained, "data": faces.folder, "split": "val", "out": out}
    video = evaluate(**given, embedding=network)["video"]
    assert 0 < video["real_face_distance"] < video["face_distance"] < 2
    assert 0 < video["face_distance_cosine"] < 2


def test_models_and_datasets_of_the_other_kind_are_refused(
    trained, faces, workdir, drawn, tiny, faces_presets, speech, tmp_path
):
    still, out = faces.folder / "stills" / "test-face-6.png", tmp_path / "talk.mp4"
    said = {
        "no record of consent|cannot be read": lambda: infer(
            workdir=trained, audio=speech, image=still, out=out, consent=tmp_path / "none.toml"
        ),
        "is a model of faces .*--image": lambda: infer(workdir=trained, audio=speech, out=out),
        "one lecturer in one framing .*leave --image, --paste and": lambda: infer(
            workdir=workdir, audio=speech, image=still, out=out
        ),
        "none.png: No such file": lambda: infer(
            workdir=trained, audio=speech, image=tmp_path / "none.png", out=out
        ),
        "speech.wav: it is neither PNG nor JPEG": lambda: infer(
            workdir=trained, audio=speech, image=speech, out=out
        ),
        "of aligned faces, which 'lumierenet' is not .*--config": lambda: train(
            config=tiny(), data=faces.folder, workdir=tmp_path / "run"
        ),
        "of lectures, which 'temporal_gan' is not .*--config": lambda: train(
            config=faces_presets.get_config("tiny"), data=drawn, workdir=tmp_path / "run"
        ),
        "trained for the system 'temporal_gan', not for 'lumierenet'": lambda: train(
            config=tiny(), data=drawn, workdir=trained
        ),
        "width=2, not 3": lambda: train(
            config=wider(faces_presets), data=faces.folder, workdir=trained
        ),
        "faces is of aligned faces, which 'lumierenet' is not made for.*--data": lambda: evaluate(
            workdir=workdir, data=faces.folder, out=tmp_path / "report"
        ),
        "which 'temporal_gan' is not made for.*with --system=temporal_gan": lambda: evaluate(
            workdir=trained, data=drawn, out=tmp_path / "report"
        ),
        "--embedding goes with a model of faces, and 'lumierenet' is none": lambda: evaluate(
            workdir=workdir, data=drawn, out=tmp_path / "report", embedding=Path("vectors.npz")
        ),
        "name --references and --hypotheses together": lambda: evaluate(
            workdir=trained, data=faces.folder, out=tmp_path / "report", references=speech
        ),
        "faces is of aligned faces, which 'lumierenet' is not.*name another --system": lambda: (
            experiment(paper_experiment(tiny(), tiny()), data=faces.folder, out=tmp_path / "report")
        ),
        "is of 'temporal_gan', which does not speak live": lambda: live(
            workdir=trained, audio=str(speech), out=str(out)
        ),
    }
    for message, act in said.items():
        with pytest.raises(UserError, match=message):
            act()
    assert not out.exists() and not list(tmp_path.glob("run/*.json"))
    assert not (tmp_path / "report").exists()


def wider(faces_presets):
    config = faces_presets.get_config("tiny-l1")
    config.animator.width = 3
    return config


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"align": "hands"}, "--align=hands: write face"),
        ({"align": None}, "--speakers goes with --align=face"),
        ({"explicit": True}, "--noexplicit are for figures, and 'temporal_gan' has none"),
        ({"speakers": 2}, "--speakers=2: use 3"),
        ({"speakers": 0}, "--speakers=0: use 3"),
        ({"minutes": 50.0}, "--minutes=50.0: 4 faces that train say at most 5.2 minutes"),
        ({"size": 64}, "--size=64: use one of 128, 256"),
        ({"clips": "clips.csv"}, "--clips goes with --footage"),
        ({"workers": 2}, "--workers goes with --footage"),
        ({"synthetic": False, "footage": "a.mp4"}, "--speakers goes with --synthetic"),
        ({"footage": "a.mp4"}, "either --footage or --synthetic"),
        ({"out": ""}, "name --out"),
    ],
)
def test_wrong_uses_are_one_sentence(tmp_path, changes, message):
    given = {"out": str(tmp_path / "data"), "synthetic": True, "align": "face", "speakers": 6}
    with pytest.raises(UserError, match=message):
        prepare({**given, **changes})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_faces_of_footage_by_a_table_of_speakers(shared, consent, tmp_path):
    clips = sorted((shared / "footage").glob("grid_*.mpg"))
    table = tmp_path / "clips.csv"
    splits = zip(clips, ("train", "val", "test"), strict=True)
    lines = [f"{clip.name},speaker {i},{split}" for i, (clip, split) in enumerate(splits)]
    table.write_text("\n".join(["clip,speaker,split", *lines]))
    given = {"footage": str(shared / "footage" / "grid_*.mpg"), "consent": str(consent)}
    given |= {"out": str(tmp_path / "data"), "align": "face", "clips": str(table)}
    dataset = prepare(given)
    assert [(s.split, s.speaker) for s in dataset.segments] == [
        ("train", "speaker 0"),
        ("val", "speaker 1"),
        ("test", "speaker 2"),
    ]
    for split in ("train", "val", "test"):
        assert 70 <= dataset.frames(split) <= 75
        points, middle = from_the_mean_face(dataset, split)
        assert points < 0.12 and middle < 0.02
        # What is aligned keeps its place: the points tremble by less than a pixel a frame.
        steps = np.diff(five_points(dataset, split), axis=0)
        assert np.linalg.norm(steps, axis=-1).mean() < 1
    assert (tmp_path / "data" / "preview.png").is_file()


ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_readmes_picture_is_made(trained, faces, tmp_path):
    picture = tmp_path / "faces.png"
    script = ROOT / "docs" / "make_picture.py"
    subprocess.run([sys.executable, script, "faces", trained, faces.folder, picture], check=True)
    still, made, real = np.split(cv2.imread(str(picture)), 3)
    assert still.shape[0] == 128 and (real != made).any()


# What Python runs at its start: one preset, in place of all that are repeated.
ONE_PRESET = """
import dataclasses

from lumiere_jax.systems import registry

entry = registry.ENTRIES["temporal_gan"]
one = dataclasses.replace(entry.repeats["ablation"], presets=("tiny-l1",))
registry.ENTRIES["temporal_gan"] = dataclasses.replace(entry, repeats={"ablation": one})
"""


@pytest.mark.slow
def test_make_runs_the_ablation_of_faces(faces, tmp_path):
    """One preset, by the seeds that the recipe leaves to experiments.py, a step each."""
    out = tmp_path / "out"
    (tmp_path / "sitecustomize.py").write_text(ONE_PRESET)
    command = ["make", "--old-file=env", f"BIN={Path(sys.executable).parent}", "ablation"]
    done = subprocess.run(
        [*command, "SYSTEM=temporal_gan", "STEPS=1", f"DATA={faces.folder}", f"OUT={out}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(json.loads((out / "results.json").read_text())["table"]) == {"tiny-l1"}
    assert sorted(path.name for path in (out / "runs").iterdir()) == [
        f"tiny-l1-{seed}" for seed in range(3)
    ]
