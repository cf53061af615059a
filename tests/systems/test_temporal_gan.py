"""The temporal GAN's stage and synthesis: what reaches what, and that pieces are the whole."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from descent import descent, gradients

from lumiere_jax.audio.encoders import WINDOW
from lumiere_jax.errors import UserError
from lumiere_jax.measures import metrics
from lumiere_jax.systems.pictures import signed
from lumiere_jax.systems.temporal_gan import animator
from lumiere_jax.systems.temporal_gan.animator import rate_at
from lumiere_jax.systems.temporal_gan.config import Config, check_config
from lumiere_jax.systems.temporal_gan.networks import generator
from lumiere_jax.systems.temporal_gan.synthesis import animate
from lumiere_jax.systems.temporal_gan.system import stages
from lumiere_jax.training import device_mesh
from lumiere_jax.training.guard import guarded

SHAPE = (128, 96)
# Of the kernels, N(0, 0.02), of products and convolutions: a few channels hand on what they get.
GAINS = {2: 60, 4: 120}


@pytest.fixture(scope="module")
def make(faces_presets):
    """A stage of the preset `tiny`, its first state, and its compiled step."""

    def build(preset="tiny", **changes):
        config = faces_presets.get_config(preset)
        for name, value in changes.items():
            setattr(config.animator, name, value)
        check_config(config)
        stage = stages(config, SHAPE)["animator"]
        return config, stage, jax.jit(stage.init)(jax.random.key(0))

    return build


@pytest.fixture(scope="module")
def batch():
    generator = np.random.default_rng(0)
    return {
        "frames": generator.integers(0, 256, (2, 6, *SHAPE, 3), np.uint8),
        "still": generator.integers(0, 256, (2, *SHAPE, 3), np.uint8),
        "windows": 0.1 * generator.normal(size=(2, 6, WINDOW)).astype(np.float32),
        "lengths": np.array([6, 3], np.int32),
        "index": np.array([5, 9], np.int32),
    }


WEIGHTS = {"reconstruction": 7.0, "frame_adversarial": 2.0, "sequence_adversarial": 3.0}


@pytest.fixture(scope="module")
def stepped(make):
    """The first state of `tiny` with other weights, and its guarded step, compiled once."""
    _, stage, state = make(**WEIGHTS)
    return state, jax.jit(guarded(stage.step))


def different(a, b):
    return [bool(jnp.any(x != y)) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)]


def test_parameter_counts_of_the_paper():
    state = jax.eval_shape(stages(Config(), SHAPE)["animator"].init, jax.random.key(0))
    count = {
        name: sum(x.size for x in jax.tree.leaves(network.params))
        for name, network in state.networks.items()
    }
    assert set(count) == {"G", "frame", "sequence"}
    # Torch's GRU has a bias more for two of the three gates; the rest is SPEC B2's sizes.
    gru = 3 * (256 * 256 * 2 + 256) + 256
    encoder = 80 * 16 + 4 * (16 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    encoder += 2 * (16 + 32 + 64 + 128 + 256 + 512) + 5 * 512 * 256 + 256
    noise = 3 * (10 * 10 * 2 + 10) + 10
    identity = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1024)
    identity += 2 * (64 + 128 + 256 + 512 + 1024) + 12 * 1024 * 50
    halves = 9 * (1024**2 + 512**2 + 256**2 + 128**2)
    decoder = 12 * 1024 * 316 + 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 3
    decoder += 2 * (2 * 1024 + 2 * 512 + 2 * 256 + 2 * 128 + 64)
    assert count["G"] == encoder + 2 * gru + noise + identity + decoder + 2 * halves


def test_a_step_moves_every_network_and_nothing_past_a_sequences_end_matters(stepped, batch):
    state, step = stepped
    after, metrics = step(state, {}, batch)
    assert float(metrics["skipped"]) == 0
    for name, network in after.networks.items():
        moved = different(network.params, state.networks[name].params)
        assert np.mean(moved) > 0.95, (name, moved)
    other = {name: x.copy() for name, x in batch.items()}
    other["frames"][1, 3:], other["windows"][1, 3:] = 7, 0.5
    again, same = step(state, {}, other)
    assert not any(different(after, again)), "what fills a sequence up is learned from"
    assert all(float(metrics[name]) == float(same[name]) for name in metrics)


def test_the_loss_is_the_weighted_sum_of_equation_3(stepped, batch):
    state, step = stepped
    _, terms = step(state, {}, batch)
    wanted = sum(weight * float(terms[name]) for name, weight in WEIGHTS.items())
    assert float(terms["loss"]) == pytest.approx(wanted, rel=1e-5)
    assert all(float(terms[name]) > 0.01 for name in WEIGHTS)


def test_the_frame_discriminator_judges_one_frame_drawn_from_those_that_are_there(stepped, batch):
    """S(x) of Eq. 1."""
    state, step = stepped

    def judged(number):
        """The frames of the first sequence whose change the frame discriminator's loss notices."""
        now = dataclasses.replace(state, step=jnp.int32(number))
        _, before = step(now, {}, batch)
        found = []
        for t in range(6):
            other = {name: x.copy() for name, x in batch.items()}
            other["frames"][0, t] = 255 - other["frames"][0, t]
            _, after = step(now, {}, other)
            name = "frame_discriminator"
            found += [t] if float(after[name]) != float(before[name]) else []
        return found

    drawn = [judged(number) for number in range(4)]
    assert all(len(found) == 1 for found in drawn) and len({t for (t,) in drawn}) > 1


@pytest.mark.slow
def test_the_step_over_a_mesh_is_that_of_one_device(make, batch, monkeypatch):
    """Masked statistics, the frames that are drawn, and the layers that go through time."""
    every = dict.fromkeys(("G", "frame", "sequence"), descent())
    monkeypatch.setattr(animator, "optimisers", lambda c: every)
    _, stage, state = make()
    two, one = (
        device_mesh.compile_step(stage, mesh)(
            jax.tree.map(jnp.copy, state), {}, device_mesh.place(batch, mesh)
        )[0]
        for mesh in map(device_mesh.data_mesh, (2, 1))
    )
    for name, network in two.networks.items():
        other = one.networks[name]
        for a, b in (
            tuple(gradients(state.networks[name], n) for n in (network, other)),
            (network.batch_stats, other.batch_stats),
        ):
            a, b = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]) for tree in (a, b))
            assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(a), name


def test_the_upper_half_is_free(make, batch):
    _, stage, state = make("tiny-l1", upper=0.0)
    step = jax.jit(stage.step)
    lower, upper = ({**batch, "frames": batch["frames"].copy()} for _ in range(2))
    lower["frames"][:, :, 64:], upper["frames"][:, :, :64] = 0, 0
    losses = [float(step(state, {}, x)[1]["reconstruction"]) for x in (batch, lower, upper)]
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.parametrize(
    "preset, networks",
    [
        ("tiny", {"G", "frame", "sequence"}),
        ("tiny-l1", {"G"}),
        ("tiny-frame", {"G", "frame"}),
        ("tiny-static", {"G", "frame"}),
    ],
)
def test_presets_leave_out_what_they_say(faces_presets, batch, preset, networks):
    config = faces_presets.get_config(preset)
    stage = stages(config, SHAPE)["animator"]
    state = jax.eval_shape(stage.init, jax.random.key(0))
    assert set(state.networks) == networks
    after, metrics = jax.eval_shape(stage.step, state, {}, batch)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert {f"gradient_norm_{name}" for name in networks} <= set(metrics)
    assert config.animator.recurrent == ("layer0" in state.networks["G"].params["context"])


def test_evaluation_counts_the_frames_that_are_there(make, batch):
    _, stage, state = make()
    evaluate = jax.jit(stage.evaluate)
    values = evaluate(state, {}, batch)
    assert set(values) == {"psnr", "still_psnr", "reconstruction"} and stage.gain in values
    # The still beside itself says nothing, and what lies past an end is not looked at.
    near = np.repeat(batch["still"][:, None], 6, axis=1) // 2
    near[:, 0], near[1, 3:] = batch["still"], 0
    expected = metrics.psnr(near[0, 1:2], batch["still"][:1])[0]
    other = metrics.psnr(near[1, 1:2], batch["still"][1:])[0]
    found = float(evaluate(state, {}, {**batch, "frames": near})["still_psnr"])
    assert found == pytest.approx(float(5 * expected + 2 * other) / 7, rel=1e-5)
    assert stage.pictures(state, {}, batch).shape == (3 * 128, 8 * 96, 3)


def test_rates_fall_after_the_epoch_that_is_said():
    config = Config()
    config.animator.epoch = 50
    rate = rate_at(config.animator, 2e-4)
    assert float(rate(0)) == float(rate(20 * 50 - 1)) == pytest.approx(2e-4)
    assert float(rate(20 * 50)) == pytest.approx(0.9 * 2e-4)
    assert float(rate(23 * 50)) == pytest.approx(0.9**4 * 2e-4)
    config.animator.epoch = 0
    assert float(rate_at(config.animator, 2e-4)(10**6)) == pytest.approx(2e-4)


@pytest.fixture(scope="module", params=["tiny", "tiny-static"])
def spoken(make, request):
    """A config, variables whose numbers are of a size to compare, a still, and windows."""
    config, _, state = make(request.param)

    def scaled(path, x):
        recurrent = any("layer" in str(part) for part in path)
        return x if x.ndim < 2 or recurrent else x * (GAINS[x.ndim] / np.prod(x.shape[:-1]) ** 0.5)

    variables = jax.tree_util.tree_map_with_path(scaled, state.networks["G"].inference_variables)
    random = np.random.default_rng(1)
    still = random.integers(0, 256, (*SHAPE, 3), np.uint8)
    windows = 0.3 * random.normal(size=(11, WINDOW))
    return config, {"animator": {"G": variables}}, still, windows.astype(np.float32)


def test_pieces_are_the_whole(spoken):
    config, variables, still, windows = spoken
    whole = np.stack(list(animate(config, variables, still, windows, chunk=11)))
    assert whole.shape == (11, *SHAPE, 3) and whole.std(0).max() > 2, "nothing moves"
    for chunk in (1, 4):
        pieces = np.stack(list(animate(config, variables, still, windows, chunk=chunk)))
        assert np.abs(pieces.astype(int) - whole).max() <= 1
    assert not list(animate(config, variables, still, windows[:0]))


def test_a_frame_knows_the_past_or_its_own_window_alone(spoken):
    config, variables, still, windows = spoken
    model = generator(config)
    x = jnp.asarray(windows)[None]
    identity = model.apply(variables["animator"]["G"], signed(still[None]), method="identify")
    noise = jnp.zeros((1, 11, config.animator.noise))

    def frame(x):
        y, _ = model.apply(variables["animator"]["G"], x, identity, noise, None, method="go_on")
        return jnp.sum(y[0, 6])

    heard = jnp.any(jax.jit(jax.grad(frame))(x)[0] != 0, axis=1)
    past = [True] * 7 if config.animator.recurrent else [False] * 6 + [True]
    assert heard.tolist() == past + [False] * 4


def test_noise_is_drawn_by_seed_and_frame(spoken):
    config, variables, still, windows = spoken
    first, again, other = (
        np.stack(list(animate(config, variables, still, windows, seed))) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"frames": 1}, "frames=1: a sequence has 2 frames or more"),
        ({"average": 1.0}, "average=1.0: a decay is under 1"),
        ({"rate_decay": 1.5}, "rates do not rise"),
        ({"noise_deviation": float("nan")}, "noise_deviation=nan"),
        ({"dtype": "float16"}, "dtype=float16: choose float32 or bfloat16"),
        ({"width": 10**6}, "width=1000000: use at most"),
        ({"reconstruction": 0.0, "frame_adversarial": 0.0, "sequence_adversarial": 0.0}, "no loss"),
    ],
)
def test_configs_that_cannot_work_are_refused(changes, message):
    config = Config()
    for name, value in changes.items():
        setattr(config.animator, name, value)
    with pytest.raises(UserError, match=message):
        check_config(config)
