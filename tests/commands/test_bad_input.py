"""What bad input gets: a sentence with the file and the remedy, and nothing half-written."""

import json
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from lumiere_jax.commands.infer import infer
from lumiere_jax.commands.prepare import prepare_footage
from lumiere_jax.commands.train import train
from lumiere_jax.errors import UserError
from lumiere_jax.runtime.locks import LOCK, lock
from lumiere_jax.workflows.drawn_dataset import prepare_synthetic
from lumiere_jax.workflows.workdir import read_run
from lumiere_jax.workflows.workdir_checks import checked


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A clip of seven seconds, 96 x 80, without a person."""
    path = tmp_path_factory.mktemp("talks") / "talk.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 96, 80, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        for t in range(70):
            picture = np.full((80, 96, 3), 3 * t, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            sound = np.sin(np.arange(1600) / 7, dtype=np.float32)[None]
            frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
            frame.sample_rate, frame.pts = 16_000, 1600 * t
            frame.time_base = Fraction(1, 16_000)
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


@pytest.fixture
def poses(tmp_path):
    folder = tmp_path / "poses"
    folder.mkdir()
    for t in range(70):
        (folder / f"{t:03}.json").write_text('{"people": []}')
    return folder


@pytest.fixture
def refused(tmp_path, talk, consent, poses):
    """Asserts what prepare_footage says to a change of good arguments; it leaves nothing."""

    def check(message, **changes):
        out = tmp_path / "out" / "data"
        given = {"footage": str(talk), "consent": consent, "out": out, "size": 64, "fps": "10"}
        given |= {"figure": "openpose", "poses": poses, **changes}
        with pytest.raises(UserError, match=message):
            prepare_footage(**given)
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())

    return check


def test_consent_comes_first(refused, tmp_path):
    refused("footage needs its speaker's consent", consent=None, footage="nowhere.mp4")
    (tmp_path / "part.toml").write_text('who = "Ada"\nwhen = 2026-01-31\n')
    refused("part.toml has no 'purpose'", consent=tmp_path / "part.toml")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"figure": "openpos"}, "--figure=openpos: choose one of mediapipe, densepose, openpose"),
        ({"poses": None}, "--figure=openpose needs --poses"),
        ({"figure": "mediapipe"}, "--poses goes with --figure=densepose or openpose"),
        ({"explicit": False}, "--noexplicit goes with --figure=mediapipe, not openpose"),
        ({"crop": "0,0"}, "--crop=0,0: write X,Y,SIDE"),
        ({"crop": "0,0,²"}, "--crop=0,0,²: write X,Y,SIDE"),
        ({"crop": "0,0,81"}, r"talk.mp4: the crop 0,0,81 .* picture of 96x80"),
        ({"crop": "-1,0,64"}, "--crop=-1,0,64: write X,Y,SIDE"),
        ({"size": 100}, "--size=100: use one of 64, 128"),
        ({"size": 0}, "--size=0: use one of 64, 128"),
        ({"fps": "film"}, "--fps=film: write a frame rate"),
        ({"fps": "1/0"}, "--fps=1/0: write a frame rate"),
        ({"fps": "1e999999999"}, "--fps=1e999999999: write a frame rate"),
        ({"crop": f"0,0,{'9' * 5000}"}, "--crop=0,0,9.*…9*: write X,Y,SIDE"),
        ({"fps": "1000"}, "--fps=1000: use a frame rate from 5 to 120"),
        ({"footage": "no/such/*.mp4"}, r"--footage=no/such/\*.mp4: no such file"),
    ],
)
def test_mistakes_in_the_flags_of_footage(refused, changes, message):
    refused(message, **changes)


def test_footage_without_sound_or_picture_or_anything(refused, talk, tmp_path):
    soundfile.write(tmp_path / "voice.wav", np.ones(1600) / 2, 16_000)
    (tmp_path / "notes.mp4").write_text("not a film at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    refused("voice.wav: there is no picture in this file", footage=str(tmp_path / "voice.wav"))
    refused("notes.mp4: this is not a media file", footage=str(tmp_path / "notes.mp4"))
    refused("empty.mp4: the file is empty", footage=str(tmp_path / "empty.mp4"))
    (tmp_path / "twins" / "b").mkdir(parents=True)
    for place in ("twins/talk.mp4", "twins/b/talk.mp4"):
        shutil.copy(talk, tmp_path / place)
    shutil.copy(talk, tmp_path / "twins" / "talk.mkv")
    refused("two clips are named 'twins-talk'", footage=str(tmp_path / "twins" / "talk.*"))


@pytest.fixture
def tracks(tmp_path, talk):
    """Writes a clip with the talk's picture and these sound tracks, of 16 kHz."""

    def write(name, *sounds):
        with av.open(str(talk)) as source, av.open(str(tmp_path / name), "w") as container:
            video = container.add_stream_from_template(source.streams.video[0])
            packets = [p for p in source.demux(source.streams.video[0]) if p.size]
            for packet in packets:
                packet.stream = video
            for sound in sounds:
                sound = np.asarray(sound, np.float32).reshape(7 * 16_000, -1)
                layout = "stereo" if sound.shape[1] == 2 else "mono"
                audio = container.add_stream("aac", rate=16_000, layout=layout)
                for start in range(0, len(sound), 1600):
                    piece = np.ascontiguousarray(sound[start : start + 1600]).reshape(1, -1)
                    frame = av.AudioFrame.from_ndarray(piece, "flt", layout)
                    frame.sample_rate, frame.pts = 16_000, start
                    packets += audio.encode(frame)
                packets += audio.encode(None)
            for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
                container.mux(packet)
        return str(tmp_path / name)

    return write


def test_nothing_is_learned_from_silence(refused, tracks, tmp_path, capsys):
    time = np.arange(7 * 16_000) / 16_000
    voice = np.sin(2 * np.pi * 440 * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * time))
    voice *= 0.3 * np.random.default_rng(0).random(28).repeat(4000)
    silent, nobody = r"silent\.mp4: the sound is silent .*: leave", "no pose is found in 70 of 70"
    refused(silent, footage=tracks("silent.mp4", 0 * time))
    refused(silent, footage=tracks("silent.mp4", 0 * time + 0.2))  # a constant is no sound
    refused(silent, footage=tracks("silent.mp4", 0 * time, 1e-5 * time))
    capsys.readouterr()
    refused(nobody, footage=tracks("opposed.mp4", np.c_[voice, -voice]))
    assert "sound track" not in capsys.readouterr().out
    two = tracks("two.mp4", 0 * time, voice)
    refused(nobody, footage=two)
    assert "two.mp4: sound track 2 of 2 is used; --sound_track=N" in capsys.readouterr().out
    refused(r"two\.mp4: the sound is silent", footage=two, sound_track=1)
    refused("there is no --sound_track=3: this file has 2 sound tracks", footage=two, sound_track=3)
    (tmp_path / "a.json").write_text("")
    tracks("b_silent.mp4", 0 * time)
    refused(r"b_silent\.mp4, .*silent\.mp4: the", footage=str(tmp_path / "*silent.mp4"))


def test_footage_of_a_narrow_band_is_said_to_be_so(refused, tracks, capsys):
    key = np.random.default_rng(0)
    spectrum = np.fft.rfft(0.3 * key.normal(size=7 * 16_000))
    spectrum[len(spectrum) // 2 :] = 0
    refused("no pose is found", footage=tracks("call.mp4", np.fft.irfft(spectrum)))
    assert "call.mp4 has hardly any sound above 4.0 kHz: record" in capsys.readouterr().out


def test_poses_of_nobody_and_of_another_number(refused, poses):
    refused("talk.mp4: no pose is found in 70 of 70 frames .at 00:00.0 to 00:07.0")
    (poses / "007.json").unlink()
    refused("poses holds 69 poses but .*talk.mp4 has 70 frames")


def test_a_clip_too_short_for_every_split(refused, talk):
    wanted = r"its 'val' split has 2 frames in a row and needs 3; give a clip of at least 12 sec"
    refused(f"talk.mp4 is too short: {wanted}", fps="5")


def test_a_clip_that_is_cut_off_is_named(refused, talk, tmp_path, capsys):
    twin = shutil.copy(talk, tmp_path / "talk.mkv")
    with av.open(str(talk)) as source, av.open(str(twin), "w") as container:
        for stream in source.streams:
            container.add_stream_from_template(stream)
        for packet in source.demux():
            if packet.size:
                packet.stream = container.streams[packet.stream.index]
                container.mux(packet)
    twin.write_bytes(twin.read_bytes()[: int(0.95 * twin.stat().st_size)])
    refused("talk.mkv", footage=str(twin))
    assert f"{twin} is cut off: the " in capsys.readouterr().out


def test_a_name_with_brackets_is_a_name(refused, talk, tmp_path):
    twin = shutil.copy(talk, tmp_path / "talk [1080p].mp4")
    refused(r"talk \[1080p\].mp4: no pose is found", footage=str(twin))


def test_a_folder_that_is_taken_or_cannot_be(refused, drawn, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused("data holds a dataset already: name another folder", out=drawn)
    refused("file is a file: name another", out=tmp_path / "file")
    refused("cannot be written", out=tmp_path / "file" / "data")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"minutes": float("nan")}, "--minutes=nan: use 0.1 to 600"),
        ({"minutes": 0.0}, "--minutes=0.0: use"),
        ({"seed": -1}, "--seed=-1: use 0 or more"),
        ({"size": 96}, "--size=96: use one of"),
    ],
)
def test_mistakes_in_the_flags_of_the_drawn_lecturer(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        prepare_synthetic(out=tmp_path / "data", **changes)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def copy(workdir, tmp_path):
    """A copy of the trained workdir, to damage."""
    return shutil.copytree(workdir, tmp_path / "copy")


def edit(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda run: run.update(size=128), "was trained at 128 px and the data has 64 px"),
        (lambda run: run["config"].update(system="vid2vid"), "for the system 'vid2vid'"),
        (lambda run: run.update(format=9), r"made by lumiere_jax .*format .9.: update lumiere_jax"),
        (lambda run: run.update(format=0), "run.json cannot be read .format 0 is not 1"),
        (lambda run: run.pop("mean"), "run.json cannot be read"),
    ],
)
def test_a_workdir_of_another_kind(copy, drawn, tiny, change, message):
    edit(copy / "run.json", change)
    before = (copy / "run.json").read_text()
    with pytest.raises(UserError, match=f"{copy}.*{message}.*--workdir"):
        train(config=tiny(), data=drawn, workdir=copy)
    assert (copy / "run.json").read_text() == before


@pytest.mark.parametrize(
    "change, what",
    [
        (lambda run: run["consent"].update(who="Grace"), "consent"),
        (lambda run: run.update(fps="25"), "fps"),
        (lambda run: run.update(figure="densepose"), "figure"),
        (lambda run: run.update(mean=[0.0] * 40), "statistics of the sound"),
    ],
)
def test_a_workdir_of_another_lecturer(copy, drawn, tiny, change, what):
    edit(copy / "run.json", change)
    before = (copy / "run.json").read_text()
    with pytest.raises(UserError, match=f"{copy} was trained on another dataset .{what} differ"):
        train(config=tiny(), data=drawn, workdir=copy)
    assert (copy / "run.json").read_text() == before


def test_a_stage_whose_needed_stage_has_gone_on(copy, drawn, tiny, speech, tmp_path):
    config = tiny()
    config.vae.steps = 5
    stale = f"{copy}/blstm was trained on step 4 of 'vae', not on its step 5: move that folder"
    with pytest.raises(UserError, match=stale):
        train(config=config, data=drawn, workdir=copy)
    train(config=config, data=drawn, workdir=copy, stage="vae")
    with pytest.raises(UserError, match=stale):
        infer(workdir=copy, audio=speech, out=tmp_path / "lecture.mp4")
    shutil.rmtree(copy / "blstm")
    config.vae.steps = 9
    with pytest.raises(UserError, match="has trained only for 5 of 9 steps: run with --stage=vae"):
        train(config=config, data=drawn, workdir=copy, stage="blstm")


def test_a_workdir_of_other_networks(copy, drawn, tiny):
    config = tiny()
    config.vae.code = 9
    with pytest.raises(UserError, match=r"vae.code=8, not 9: use --config.vae.code=8, or name"):
        train(config=config, data=drawn, workdir=copy)
    config = tiny()
    config.vae.average = 0.5  # a decay decides nothing about the networks, unless it is 0
    train(config=config, data=drawn, workdir=copy)
    config.seqpix2pix.lambda1 = 10.0
    with pytest.raises(UserError, match=r"seqpix2pix.lambda1=0.0, not 10.0"):
        train(config=config, data=drawn, workdir=copy)


def test_a_split_without_a_triplet_is_refused_before_any_stage(drawn, tiny, tmp_path):
    data = shutil.copytree(drawn, tmp_path / "data")
    values = json.loads((data / "dataset.json").read_text())
    whole = [s for s in values["segments"] if s["split"] == "val"]
    values["segments"] = [s for s in values["segments"] if s["split"] != "val"] + [
        {**s, "first": s["first"] + t, "offset": s["offset"] + t, "frames": 1}
        for s in whole
        for t in range(s["frames"])
    ]
    (data / "dataset.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="data has no 3 frames in a row in its 'val' split"):
        train(config=tiny(), data=data, workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_datasets_folder_is_no_workdir(drawn, tiny):
    before = sorted(drawn.iterdir())
    with pytest.raises(UserError, match=f"--workdir={drawn} is a dataset's folder"):
        train(config=tiny(), data=drawn, workdir=drawn)
    assert sorted(drawn.iterdir()) == before


def test_a_workdir_that_is_cut_off_in_use_or_no_workdir(copy, drawn, tiny, tmp_path):
    with (
        lock(copy / LOCK, copy),
        pytest.raises(UserError, match=f"{copy} is in use by another run"),
    ):
        train(config=tiny(), data=drawn, workdir=copy)
    (copy / "run.json").write_text((copy / "run.json").read_text()[:99])
    with pytest.raises(UserError, match="run.json is damaged .*: train into a new --workdir"):
        train(config=tiny(), data=drawn, workdir=copy)
    (copy / "run.json").unlink()  # whose networks these are would be anyone's guess
    with pytest.raises(UserError, match="no run.json, which says whose they are: put it back"):
        train(config=tiny(), data=drawn, workdir=copy)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="file cannot be written"):
        train(config=tiny(), data=drawn, workdir=tmp_path / "file")


@pytest.mark.parametrize(
    "group, field, value, message",
    [
        ("vae", "steps", 0, "--config.vae.steps=0: use a number that is more than 0"),
        ("vae", "learning_rate", float("nan"), "learning_rate=nan: use a number"),
        ("vae", "batch", 10**999, "--config.vae.batch=1000.*…0*: use at most 65536"),
        ("vae", "steps", 10**30, f"--config.vae.steps={10**30}: use at most 2147483647"),
        ("blstm", "batch", 10**9, "--config.blstm.batch=1000000000: use at most 65536"),
        ("blstm", "window", 10**9, "--config.blstm.window=1000000000: use at most 4096"),
        ("blstm", "delay", -1, "--config.blstm.delay=-1: use a number that is 0 or more"),
        ("seqpix2pix", "lambda1", float("inf"), "lambda1=inf: use a number"),
        ("seqpix2pix", "beta1", 1.0, "seqpix2pix.beta1=1.0: a decay is under 1"),
        ("vae", "average", 1.5, "vae.average=1.5: a decay is under 1"),
        ("vae", "pixel", 0.0, "--config.vgg=none with --config.vae.pixel=0"),
        (None, "vgg", "no/vgg19.npz", "no/vgg19.npz: there are no VGG-19 weights here; fetch http"),
        (None, "system", "gan", "config.system is 'gan'"),
        (None, "vgg_layers", ("pool1", "relu9_1"), "VGG-19 has no 'relu9_1'; choose from relu1_1"),
        (None, "seed", 2**64, "--config.seed=18446744073709551616: use 0 to"),
    ],
)
def test_values_that_cannot_work(drawn, tiny, tmp_path, group, field, value, message):
    config = tiny()
    setattr(getattr(config, group) if group else config, field, value)
    with pytest.raises(UserError, match=message):
        train(config=config, data=drawn, workdir=tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_config_of_something_else():
    with pytest.raises(UserError, match="no config of a system.*lumierenet, temporal_gan"):
        checked({"learning_rate": 1e-3})


def test_a_narration_that_is_none(workdir, tmp_path):
    out = tmp_path / "lecture.mp4"
    out.write_bytes(b"an older video")
    (tmp_path / "text.wav").write_text("These are words, and nobody speaks them.")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "zero.wav", np.zeros(0), 16_000)
    for name, message in (
        ("none.wav", "there is no such file"),
        ("text.wav", "this is not a media file"),
        ("empty.wav", "the file is empty"),
        ("zero.wav", "its sound has zero length"),
    ):
        with pytest.raises(UserError, match=f"{tmp_path / name}: {message}"):
            infer(workdir=workdir, audio=tmp_path / name, out=out)
    assert out.read_bytes() == b"an older video"


def test_a_narration_that_is_cut_off_is_spoken_as_far_as_it_goes(workdir, speech, tmp_path, capsys):
    (tmp_path / "half.wav").write_bytes(speech.read_bytes()[:4044])
    frames = infer(workdir=workdir, audio=tmp_path / "half.wav", out=tmp_path / "lecture.mp4")
    assert 0 < frames <= 4  # half of eight, less what is lost with a packet that is not whole
    assert "half.wav is cut off: the 0.1 s that are whole" in capsys.readouterr().out


def test_a_narration_is_never_replaced_by_its_video(workdir, speech, tmp_path):
    twin = shutil.copy(speech, tmp_path / "same.mp4")
    with pytest.raises(UserError, match="same.mp4 is the narration itself"):
        infer(workdir=workdir, audio=twin, out=twin)
    assert twin.read_bytes() == speech.read_bytes()


def test_a_video_that_cannot_be_written(workdir, speech, tmp_path):
    for out, message in (
        (tmp_path / "lecture.avi", "give a name that ends in .mp4"),
        (speech / "lecture.mp4", "cannot be written .a file is where its folder should be"),
    ):
        with pytest.raises(UserError, match=f"{out}: .*{message}"):
            infer(workdir=workdir, audio=speech, out=out)


def test_a_workdir_that_cannot_speak(copy, speech, tmp_path):
    out = tmp_path / "lecture.mp4"
    with pytest.raises(UserError, match="nowhere is not a trained workdir.*run train.py first"):
        infer(workdir=tmp_path / "nowhere", audio=speech, out=out)
    for path in (copy / "vae").rglob("manifest.ocdbt"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=f"{copy}/vae/checkpoints/4 cannot be read"):
        infer(workdir=copy, audio=speech, out=out)
    shutil.rmtree(copy / "blstm")
    with pytest.raises(UserError, match="no trained 'blstm' stage: run train.py with --stage"):
        infer(workdir=copy, audio=speech, out=out)
    assert not out.exists()


def test_silence_is_a_warning_and_a_wrong_name_is_none(workdir, tmp_path, capsys):
    soundfile.write(tmp_path / "silence.flac", np.zeros(1600), 16_000)
    (tmp_path / "silence.flac").rename(tmp_path / "silence.mp3")
    assert infer(workdir=workdir, audio=tmp_path / "silence.mp3", out=tmp_path / "a.mp4") == 3
    assert "silence.mp3 is silent, so the speaker keeps still" in capsys.readouterr().out


def test_an_inverted_narration_is_no_silence_and_a_telephone_is_named(workdir, tmp_path, capsys):
    voice = 0.3 * np.random.default_rng(0).normal(size=3200)
    soundfile.write(tmp_path / "inverted.wav", np.c_[voice, -voice], 16_000)
    soundfile.write(tmp_path / "call.wav", voice, 8_000)
    infer(workdir=workdir, audio=tmp_path / "inverted.wav", out=tmp_path / "a.mp4")
    assert "silent" not in capsys.readouterr().out
    infer(workdir=workdir, audio=tmp_path / "call.wav", out=tmp_path / "a.mp4")
    assert "call.wav has hardly any sound above 4.0 kHz" in capsys.readouterr().out
    with pytest.raises(UserError, match="no --sound_track=2: this file has 1 sound track, counted"):
        infer(workdir=workdir, audio=tmp_path / "call.wav", out=tmp_path / "a.mp4", sound_track=2)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda run: run.update(fps="1e999999999"), "its fps is '1e999999999'"),
        (lambda run: run.update(size=63), "its size is 63"),
        (lambda run: run.update(mean=[0.0] * 39), "its mean is not 40 numbers"),
        (lambda run: run.update(std=[0.0] * 40), "its std is not 40 numbers"),
        (lambda run: run.update(consent="Ada"), "its consent does not say who"),
        (lambda run: run.update(config=7), "run.json cannot be read"),
        (lambda run: run["config"].update(vae=None), "run.json cannot be read"),
        (lambda run: run["config"]["vae"].update(code="8"), "its config says code = '8'"),
        (lambda run: run["config"]["vae"].update(code=True), "its config says code = True"),
        (lambda run: run["config"]["vae"].update(code=-8), "vae.code=-8: use a number"),
        (lambda run: run["config"]["blstm"].update(window=1.5), "says window = 1.5"),
        (lambda run: run["config"].update(vgg_layers=[["pool1"]]), "says vgg_layers"),
        (lambda run: run["config"].update(seed=10**30), "config.seed"),
    ],
)
def test_a_workdir_that_says_what_cannot_be(workdir, tmp_path, change, message):
    run = json.loads((workdir / "run.json").read_text())
    change(run)
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(UserError, match=message):
        read_run(tmp_path)
