"""A third system, in this file alone, goes through all commands: the contract is enough.

It hears 120 rows a second, stores a column of its own, has two stages whose networks are both
called G, and starts from another workdir's weights. Its second stage keeps slots in `State.extra`
and leaves an artefact that synthesis needs. It adds a flag to infer.py, a measure to the report and
an experiment.
"""

import dataclasses
import functools
import itertools
import json
import sys
from dataclasses import dataclass, field
from fractions import Fraction

import av
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lumiere_jax import losses
from lumiere_jax.audio.frame_times import frame_start
from lumiere_jax.audio.front_ends import FrontEnd, rows_of
from lumiere_jax.inputs.batches.example_order import shuffled_indices
from lumiere_jax.inputs.dataset.columns import APERTURE, FRAME, KEYPOINTS, Column
from lumiere_jax.inputs.dataset.geometry import SQUARE
from lumiere_jax.inputs.dataset.lectures import open_dataset
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.measures.evaluation import BATCH, Chunk, Evaluation, Sheet
from lumiere_jax.measures.frame_comparison import compare, mouths, named
from lumiere_jax.measures.frame_comparison import shuffled as in_another_order
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import Feed, Narration, Request, Scene, System
from lumiere_jax.systems.entry import Entry, Flag
from lumiere_jax.systems.experiment import Experiment, Trial
from lumiere_jax.systems.pictures import to_uint8, unit
from lumiere_jax.training import checkpoint
from lumiere_jax.training.network_updates import gradient_norms
from lumiere_jax.training.stage import NOTHING, Stage, State, TrainState
from lumiere_jax.workflows import drawn_dataset
from lumiere_jax.workflows.trained_model import load_model

ROWS_A_SECOND, ROWS_A_FRAME = 120, 4


@dataclass(kw_only=True)
class StageConfig:
    steps: int = 3
    batch: int = 4
    learning_rate: float = 0.1


@dataclass(kw_only=True)
class Config:
    system: str = "guest"
    seed: int = 0
    checkpoint_seconds: float = 300.0
    coarse: StageConfig = field(default_factory=StageConfig)
    fine: StageConfig = field(default_factory=StageConfig)


# What it hears, and what is stored for it.


def power_and_mean(samples, starts):
    """Log power and mean of the 160 samples around each row."""
    cut = samples[starts[:, None] + np.arange(160)]
    return np.stack([np.log((cut**2).mean(1) + 1e-6), cut.mean(1)], 1).astype(np.float32)


FRONT_END = FrontEnd(
    name="power",
    rate=Fraction(ROWS_A_SECOND),
    before=60,
    after=100,
    shape=(2,),
    apply=power_and_mean,
    block=ROWS_A_FRAME,
)


def mean_colour(moment):
    """The frame's mean colour, (3,), 0 to 1."""
    return moment.frame.mean((0, 1)) / 255


COLOUR = Column(name="colour", shape=(3,), fill=mean_colour)


# Networks and stages.


class Colours(nn.Module):
    """Rows (b, 8) to colours (b, 3)."""

    @nn.compact
    def __call__(self, a):
        return nn.sigmoid(nn.Dense(3)(a))


class Pictures(nn.Module):
    """Colours (b, 3) to pictures (b, rows, cols, 3); `mark` takes no part in them."""

    shape: tuple[int, int]

    @nn.compact
    def __call__(self, colours):
        self.param("mark", nn.initializers.normal(), (3,))
        base = self.param("base", nn.initializers.zeros, (*self.shape, 3))
        return nn.sigmoid(base[None] + colours[:, None, None])


def first_state(model, example, optimiser, extra, key, initial=NOTHING):
    variables = initial.get("G", model.init(key, example))
    network = TrainState.create(variables, optimiser, ema=False)
    return State(networks={"G": network}, step=jnp.int32(0), key=key, extra=extra)


def take(state, optimiser, loss, extra):
    """One step of G."""
    network = state.networks["G"]
    value, gradients = jax.value_and_grad(loss)(network.params)
    networks = {"G": network.update(optimiser, gradients)}
    new = dataclasses.replace(state, networks=networks, step=state.step + 1, extra=extra)
    return new, {"loss": value, **gradient_norms({"G": gradients})}


def coarse_step(config, state, frozen, batch):
    def loss(params):
        return losses.mse(
            Colours().apply({"params": params}, batch["rows"]), batch["colour"]
        ).mean()

    return take(state, optax.sgd(config.coarse.learning_rate), loss, state.extra)


def fine_step(config, shape, state, frozen, batch):
    colours, y = Colours().apply(frozen["coarse"], batch["rows"]), unit(batch["frame"])

    def loss(params):
        made = Pictures(shape).apply({"params": params}, colours)
        return losses.mse(made, y).mean()

    # Without gradients: the newest frame's mean, and how many steps have written it.
    extra = {"slot": y.mean((0, 1, 2)), "age": state.extra["age"] + 1}
    return take(state, optax.sgd(config.fine.learning_rate), loss, extra)


def stages(config, shape):
    def stage(name, c, model, example, step, extra, needs=()):
        return Stage(
            name=name,
            needs=needs,
            batch=c.batch,
            steps=c.steps,
            init=functools.partial(first_state, model, example, optax.sgd(c.learning_rate), extra),
            step=step,
            evaluate=lambda state, frozen, batch: step(state, frozen, batch)[1],
            leaves_artefacts=bool(extra),
        )

    slots = {"slot": jnp.zeros(3), "age": jnp.int32(0)}
    coarse = functools.partial(coarse_step, config)
    fine = functools.partial(fine_step, config, shape)
    rows, colours = jnp.zeros((1, 2 * ROWS_A_FRAME)), jnp.zeros((1, 3))
    every = (
        stage("coarse", config.coarse, Colours(), rows, coarse, {}),
        stage("fine", config.fine, Pictures(shape), colours, fine, slots, needs=("coarse",)),
    )
    return {one.name: one for one in every}


# Data, synthesis, measures.


def by_frames(rows, frames, fps):
    """The rows around the middle of each frame, (frames, 8), of rows (n, 2) that cover them."""
    middles = np.array([FRONT_END.row_at(t, fps) for t in range(frames)])
    around = middles[:, None] + np.arange(ROWS_A_FRAME) - ROWS_A_FRAME // 2
    return rows[np.clip(around, 0, len(rows) - 1)].reshape(frames, -1)


def feed(stage, config, dataset, trained):
    @functools.cache
    def data(split):
        records = list(dataset.records(split))
        frames = np.stack([picture_bytes.decode(r["frame"], dataset.shape) for r in records])
        colours = np.stack([r["colour"] for r in records])
        rows = [
            by_frames(dataset.heard(FRONT_END, s), s.frames, dataset.fps)
            for s in dataset.segments
            if s.split == split
        ]
        return {"rows": np.concatenate(rows), "frame": frames, "colour": colours}

    def batches(split, first):
        tables = data(split)
        items = np.arange(len(tables["frame"]))
        for index in shuffled_indices(items, stage.batch, config.seed, first):
            yield {name: table[index["index"]] for name, table in tables.items()} | index

    def scene():
        frames = data("val")["frame"][:8]
        segment = next(s for s in dataset.segments if s.split == "val")
        return Scene(data("val")["rows"][:8], frames, dataset.sound(segment, len(frames)))

    return Feed(
        batches=functools.partial(batches, "train"),
        held_out=lambda: list(itertools.islice(batches("val", 0), 2)),
        needs=lambda: {"coarse": trained("coarse")["G"]} if stage.needs else {},
        network="G",
        scene=scene,
        make=lambda variables, given: np.zeros((len(given), *dataset.shape, 3), np.uint8),
        artefacts=(lambda state: {"palette": data("train")["colour"].mean(0)})
        if stage.leaves_artefacts
        else None,
    )


def speak(model, request):
    """Frames whose colours are heard; the artefact shifts them, and --tint weighs their red."""
    narration, shape = request.narration, model.run.shape
    count = FRONT_END.rows(frame_start(narration.frames, model.run.fps))
    rows = rows_of(FRONT_END, narration.pieces, count, narration.gain)
    tint = np.array([request.options["tint"], 1, 1], np.float32)
    shift = model.artefacts["fine"]["palette"] - model.variables["fine"]["extra"]["slot"]

    @jax.jit
    def paint(a):
        colours = Colours().apply(model.variables["coarse"]["G"], a)
        y = Pictures(shape).apply(model.variables["fine"]["G"], colours)
        everywhere = (None, None, None)
        return to_uint8(jnp.clip((y + 0.01 * shift[everywhere]) * tint[everywhere], 0, 1), low=0.0)

    yield from np.asarray(paint(by_frames(rows, narration.frames, model.run.fps)))


def follow(model, dataset, split, finders):
    records = dataset.records(split)

    def followed(segment):
        narration = Narration([dataset.sound(segment, segment.frames)[:, 0]], 1.0, segment.frames)
        made = speak(model, Request(narration=narration, options={"tint": 1.0}))
        for first in range(0, segment.frames, BATCH):
            start, count = segment.offset + first, min(BATCH, segment.frames - first)
            known = [records[start + i] for i in range(count)]
            y = np.stack([picture_bytes.decode(r["frame"], dataset.shape) for r in known])
            video = np.stack(list(itertools.islice(made, count)))
            values = compare(video, y, np.stack([r["keypoints"] for r in known]))
            colours = np.stack([r["colour"] for r in known])
            values["colour_error"] = np.abs(video.mean((1, 2)) / 255 - colours).mean(1)
            seen = mouths({"real": y, "video": video}, known, finders, drawn=True)
            yield Chunk(start, {"spoken": video, "frame": y}, named("video", values) | seen)

    return followed


def speak_shuffled(model, dataset, split):
    def spoken(segment):
        sound = in_another_order(dataset.sound(segment, segment.frames)[:, 0], 16_000)
        narration = Narration([sound], 1.0, segment.frames)
        return speak(model, Request(narration=narration, options={"tint": 1.0}))

    return spoken


def check(config):
    pass


SYSTEM = System(
    name="guest",
    config=Config,
    check=check,
    geometry=SQUARE,
    columns=(FRAME, KEYPOINTS, APERTURE, COLOUR),
    networks={"coarse": ("G",), "fine": ("G",)},
    architecture={"coarse": (), "fine": ()},
    synthesis_settings=lambda config: (),
    fit=lambda config, dataset: config,
    stages=stages,
    pretrained=lambda config: {},
    feed=feed,
    checks=lambda name, config: {},
    speak=speak,
    evaluation=Evaluation(
        follow=follow,
        speak_shuffled=speak_shuffled,
        stages={"video": ("The guest", "colours from sound")},
        judged=("video",),
        sheets=(Sheet("Frames", "A colour a frame.", {"spoken": "synthesised", "frame": "real"}),),
        synthetic=frozenset({"spoken"}),
        measures={"video": {"colour_error": ("Error of the colour", "0 best", "Mean difference.")}},
        goals={},
    ),
)


def make_experiment(name, presets, options):
    """Two rates of the first stage, of which the second trial alone trains anew."""

    def trials(dataset):
        fast = presets.Config()
        fast.coarse.learning_rate = options["fast"]
        return [
            Trial(name="plain", title="plain", config=presets.Config(), trains=("coarse", "fine")),
            Trial(
                name="fast",
                title="fast",
                config=fast,
                trains=("coarse",),
                links="plain",
                evaluated=False,
                measures={"size.json": lambda config, dataset, workdir: {"size": dataset.size}},
            ),
        ]

    def write_page(trials, dataset, out):
        (out / "index.html").write_text(" ".join(trial.title for trial in trials))

    return Experiment(name=name, system="guest", trials=trials, write_page=write_page)


ENTRY = Entry(
    name="guest",
    learns="a colour",
    presets={"small": "tests"},
    stages=("coarse", "fine"),
    load=lambda: SYSTEM,
    flags=(Flag(name="tint", help="Weight of red.", kind="float", default=1.0),),
    experiments=("rates",),
    experiment=make_experiment,
    experiment_flags=(Flag(name="fast", help="The other rate.", kind="float", default=0.2),),
)


@pytest.fixture
def run_guest(monkeypatch, run_in_process, tmp_path):
    """Runs a script to which the guest is known; returns what it printed."""
    monkeypatch.setitem(registry.ENTRIES, "guest", ENTRY)
    monkeypatch.setitem(sys.modules, "configs.guest", sys.modules[__name__])
    config = tmp_path / "guest.py"
    config.write_text(
        f"import sys\n\n\ndef get_config(seed='0'):\n"
        f"    return sys.modules[{__name__!r}].Config(seed=int(seed))\n"
    )

    def run(name, *arguments, code=0):
        arguments = [a.replace("CONFIG", str(config)) for a in arguments]
        ended, out, err = run_in_process(name, *arguments)
        assert ended == code, err
        return out + err

    return run


def mean_of_video(path):
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return len(frames), np.mean(frames, (0, 1, 2))


def test_a_third_system_needs_no_change_elsewhere(run_guest, tmp_path, monkeypatch, speech):
    whole = drawn_dataset.read_narration
    monkeypatch.setattr(drawn_dataset, "read_narration", lambda path: whole(path)[:64_000])
    data, first, second = (tmp_path / name for name in ("data", "first", "second"))
    assert "guest: a colour. Presets of configs/guest.py" in run_guest("train.py", "--help")

    run_guest(
        "prepare.py",
        "--synthetic",
        "--system=guest",
        f"--out={data}",
        "--minutes=0.1",
        "--size=64",
    )
    dataset = open_dataset(data)
    record = dataset.records("train")[7]
    assert set(record) == {"frame", "keypoints", "aperture", "colour"}
    shown = picture_bytes.decode(record["frame"]).mean((0, 1)) / 255
    np.testing.assert_allclose(record["colour"], shown, atol=0.01)
    segment = dataset.segments[0]
    heard = dataset.heard(FRONT_END, segment)
    assert heard.shape == (ROWS_A_FRAME * segment.frames, 2)
    sound = dataset.samples(segment, 0, frame_start(segment.frames, dataset.fps))
    pieces = np.array_split(sound, 9)
    rows = rows_of(FRONT_END, pieces, len(heard), dataset.gain(segment))
    np.testing.assert_array_equal(heard, rows)

    for workdir, more in ((first, ()), (second, (f"--initial={first}",))):
        seed = 1 if more else 0
        flags = (f"--config=CONFIG:{seed}", f"--data={data}", f"--workdir={workdir}")
        assert "fine: steps 1 to 3" in run_guest("train.py", *flags, *more)
    models = [load_model(workdir) for workdir in (first, second)]
    marks = [model.variables["fine"]["G"]["params"]["mark"] for model in models]
    np.testing.assert_array_equal(*marks)  # a random start by another seed would differ
    assert checkpoint.read_metadata(second / "fine")["initial"]["step"] == 3
    assert all(int(model.variables["fine"]["extra"]["age"]) == 3 for model in models)
    assert "Dense_0" in models[1].variables["coarse"]["G"]["params"]
    palette = np.mean([r["colour"] for r in dataset.records("train")], 0)
    np.testing.assert_allclose(models[1].artefacts["fine"]["palette"], palette, rtol=1e-5)
    assert models[0].id != models[1].id

    videos = [tmp_path / f"{tint}.mp4" for tint in ("plain", "tinted")]
    given = (f"--workdir={second}", f"--audio={speech}")
    run_guest("infer.py", *given, f"--out={videos[0]}")
    run_guest("infer.py", *given, f"--out={videos[1]}", "--tint=0.5")
    (count, plain), (_, tinted) = map(mean_of_video, videos)
    assert count == 8 and tinted[0] < 0.7 * plain[0]
    np.testing.assert_allclose(tinted[2], plain[2], atol=12)

    report = tmp_path / "report"
    run_guest(
        "evaluate.py", f"--workdir={second}", f"--data={data}", "--split=test", f"--out={report}"
    )
    values = json.loads((report / "metrics.json").read_text())["video"]
    assert 0 < values["colour_error"] < 1 and values["mouth_correlation_real_frames"] > 0.5
    assert "Error of the colour" in (report / "index.html").read_text()

    out = tmp_path / "experiment"
    given = ("experiments.py", f"--data={data}", f"--out={out}", "--system=guest")
    said = run_guest(*given)
    assert "fast (2 of 2)" in said and (out / "index.html").read_text() == "plain fast"
    assert json.loads((out / "runs/fast/size.json").read_text()) == {"size": 64}
    config = json.loads((out / "runs/fast/run.json").read_text())["config"]
    assert config["coarse"]["learning_rate"] == 0.2
    assert (out / "runs/fast/fine").samefile(out / "runs/plain/fine")
    assert (out / "runs/plain/report/metrics.json").is_file()
    said = run_guest(*given, "--plain=x", code=2)
    assert "--plain is not for --which=rates of 'guest'" in said

    (second / "fine" / "artefacts" / "3.npz").unlink()
    said = run_guest(
        "infer.py",
        f"--workdir={second}",
        f"--audio={speech}",
        f"--out={tmp_path / 'none.mp4'}",
        code=2,
    )
    assert "artefacts/3.npz is not there" in said and "train it again" in said


def test_flags_and_data_of_other_systems_are_refused(run_guest, workdir, drawn, speech, tmp_path):
    given = (f"--workdir={workdir}", f"--audio={speech}", f"--out={tmp_path / 'a.mp4'}")
    said = run_guest("infer.py", *given, "--tint=0.5", code=2)
    assert "--tint is no flag of 'lumierenet'" in said
    flags = ("--config=CONFIG:0", f"--data={drawn}", f"--workdir={tmp_path / 'run'}")
    said = run_guest("train.py", *flags, code=2)
    assert "has no column 'colour', which 'guest' wants" in said and "--system=guest" in said
