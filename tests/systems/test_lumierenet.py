import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from descent import descent, gradients
from jax import lax

from lumiere_jax.audio.features import normalise
from lumiere_jax.codes.recurrent import window_steps
from lumiere_jax.errors import UserError
from lumiere_jax.figures.autoencoder import VAE
from lumiere_jax.frames.generators import UNet
from lumiere_jax.systems.lumierenet import blstm, seqpix2pix, seqpix2pix_losses, vae
from lumiere_jax.systems.lumierenet.blstm import narrowed
from lumiere_jax.systems.lumierenet.config import Config, check_config
from lumiere_jax.systems.lumierenet.synthesis import stream_windows, synthesise
from lumiere_jax.systems.lumierenet.system import stages
from lumiere_jax.systems.lumierenet.vae import reconstruct
from lumiere_jax.systems.pictures import sheet, signed, to_uint8, unit
from lumiere_jax.training import device_mesh

SIZE = 64


def tiny(**changes):
    config = Config(vgg="none")
    config.vae.code, config.vae.batch, config.vae.pixel = 8, 2, 1.0
    config.blstm.cells, config.blstm.batch = 8, 4
    config.seqpix2pix.width, config.seqpix2pix.batch = 4, 1
    for name, value in changes.items():
        setattr(config.seqpix2pix, name, value)
    return config


def pieces(rows, lengths):
    cuts = np.cumsum([0, *lengths])
    return [rows[a:b] for a, b in zip(cuts, [*cuts[1:], len(rows)], strict=True)]


@pytest.mark.parametrize("delay", [0, 1, 4, 20])
@pytest.mark.parametrize("frames", [1, 3, 17])
def test_streamed_windows_are_those_of_the_whole(delay, frames):
    rows = np.random.default_rng(0).normal(size=(frames, 40)).astype(np.float32)
    whole = rows[window_steps(frames, 15, delay)]
    for lengths in ([], [1], [0, 2, 0, 5]):
        streamed = np.stack(list(stream_windows(pieces(rows, lengths), 15, delay)))
        np.testing.assert_array_equal(streamed, whole)


def test_no_rows_are_no_windows():
    assert not list(stream_windows([], 15, 2))
    assert not list(stream_windows([np.zeros((0, 40), np.float32)], 15, 2))


@pytest.fixture(scope="module")
def untrained():
    """Variables for inference of every network of the chain, by stage."""
    variables = {}
    for name, stage in stages(tiny(), SIZE).items():
        networks = jax.jit(stage.init)(jax.random.key(0)).networks
        variables[name] = {network: n.inference_variables for network, n in networks.items()}
    return variables


def test_cutting_a_narration_changes_no_frame(untrained):
    rows = np.random.default_rng(0).normal(size=(21, 40)).astype(np.float32)
    results = [
        list(synthesise(tiny(), SIZE, untrained, pieces(rows, lengths)))
        for lengths in ([], [1, 1, 7], [8, 8], [20])
    ]
    for result in results:
        assert len(result) == 21
        for one, other in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(one.frame, other.frame)
            np.testing.assert_array_equal(one.figure, other.figure)
    assert results[0][0].frame.shape == results[0][0].figure.shape == (SIZE, SIZE, 3)
    assert (results[0][0].frame != results[0][20].frame).any()


def test_a_frame_hears_its_window_and_nothing_later(untrained):
    rows = np.random.default_rng(0).normal(size=(20, 40)).astype(np.float32)
    other = rows.copy()
    other[10:] += 1
    a, b = (list(synthesise(tiny(), SIZE, untrained, [r])) for r in (rows, other))
    same = [
        bool((x.figure == y.figure).all() and (x.frame == y.frame).all())
        for x, y in zip(a, b, strict=True)
    ]
    assert all(same[:10]) and not all(same[10:])


def triplets(count, size):
    """A batch of triplets of noise, with a hand and a mouth somewhere in it."""
    random = np.random.default_rng(0)
    batch = {
        name: random.integers(0, 256, (count, 3, size, size, 3), np.uint8)
        for name in ("figures", "frames")
    }
    return {**batch, "keypoints": random.random((count, 3, 137, 3), np.float32)}


def moved(stage, state, batch):
    """Which networks' parameters a step changes."""
    new, metrics = jax.jit(stage.step)(state, {"vgg": {}}, batch)
    assert all(np.isfinite(float(value)) for value in metrics.values())
    return {
        name
        for name, network in state.networks.items()
        if any(
            (a != b).any()
            for a, b in zip(
                jax.tree.leaves(network.params),
                jax.tree.leaves(new.networks[name].params),
                strict=True,
            )
        )
    }


@pytest.mark.parametrize(
    "weights, reached",
    [
        # λ1's term goes through P to G, λ2's sees real frames alone; D learns from Eq. 10's side.
        ({"lambda1": 1.0, "lambda2": 0.0, "adversarial": 0.0}, {"D", "G", "P"}),
        ({"lambda1": 0.0, "lambda2": 1.0, "adversarial": 0.0}, {"D", "P"}),
        ({"lambda1": 0.0, "lambda2": 0.0, "adversarial": 0.0, "motion": 1.0}, {"D", "G"}),
    ],
)
def test_each_term_reaches_the_networks_it_should(weights, reached):
    size = 32  # the smallest that the networks take: a step of all three is long to compile
    stage = stages(tiny(**weights), size)["seqpix2pix"]
    state = jax.jit(stage.init)(jax.random.key(0))
    assert moved(stage, state, triplets(1, size)) == reached


def test_reconstructed_figures_are_what_the_vae_makes_of_them():
    size = 32
    no_p = {"lambda1": 0.0, "lambda2": 0.0}  # P sees frames alone
    every = stages(tiny(reconstructed=1.0, **no_p), size)
    vae = jax.jit(every["vae"].init)(jax.random.key(1)).networks["vae"].variables
    # Untrained it makes everything the same grey, within 8 bits.
    vae = jax.tree.map(lambda x: 3.0 * x, vae)
    state = jax.jit(every["seqpix2pix"].init)(jax.random.key(0))
    batch = triplets(2, size)
    flat = batch["figures"].reshape(-1, size, size, 3)
    again = np.asarray(jax.jit(lambda w: reconstruct(VAE(size, 8), vae, w))(flat))
    given = {**batch, "figures": again.reshape(batch["figures"].shape)}

    def gradients(share, batch):
        frozen, config = {"vgg": {}, "vae": vae}, tiny(reconstructed=share, **no_p)
        found, statistics, _ = jax.jit(
            lambda networks, batch, key: seqpix2pix_losses.gradients(
                networks, config, frozen, batch, key
            )
        )(state.networks, batch, jax.random.key(2))
        assert set(found) == set(statistics) == {"G", "D"}  # the VAE stays as it is
        return np.concatenate([np.ravel(x) for x in jax.tree.leaves(found["G"])])

    through, outside, plain = gradients(1.0, batch), gradients(0.0, given), gradients(0.0, batch)
    # 8 bits of `given` are all that is between the first two.
    assert np.linalg.norm(through - outside) < 0.1 * np.linalg.norm(through - plain)
    assert every["seqpix2pix"].needs == ("vae",)
    with pytest.raises(UserError, match="reconstructed=1.5: a share is at most 1"):
        check_config(tiny(reconstructed=1.5))


def test_a_share_of_windows_is_heard_in_narrow_bands(monkeypatch):
    """Each without what lies above 3 to 7 kHz, as `normalise` leaves it out; all else is kept."""
    a = np.random.default_rng(0).uniform(-3, 3, (400, 15, 40)).astype(np.float32)
    key = jax.random.key(0)
    heard = np.asarray(narrowed(a, 0.25, key))
    lost = (heard == 0).all(1)
    np.testing.assert_array_equal(heard, np.where(lost[:, None], 0, a))
    counts = lost.sum(1)
    np.testing.assert_array_equal(lost, np.arange(40) >= 40 - counts[:, None])
    assert 0.18 < (counts > 0).mean() < 0.32
    assert counts[counts > 0].min() == 3 and 11 <= counts.max() <= 14
    np.testing.assert_array_equal(narrowed(a, 0.0, key), a)
    assert np.asarray(narrowed(a, 1.0, key) == 0).any((1, 2)).all()
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape, **ends: jnp.full(shape, 4100.0))
    wanted = normalise(a.reshape(-1, 40), np.zeros(40), np.ones(40), band=4100.0)
    np.testing.assert_allclose(narrowed(a, 1.0, key), wanted.reshape(a.shape), atol=1e-6)


def test_narrow_bands_are_drawn_anew_at_each_step_and_in_each_part_and_not_in_evaluation():
    config, batch = tiny(), batches_of(64, 32)["blstm"]
    config.blstm.learning_rate, config.blstm.batch = 1e-12, 64

    def losses(narrow, parts):
        config.blstm.narrow, config.blstm.accumulate = narrow, parts
        stage = stages(config, 32)["blstm"]
        step, state = jax.jit(stage.step), stage.init(jax.random.key(0))
        held_out, found = stage.evaluate(state, {}, batch)["loss"], []
        for _ in range(3):
            state, terms = step(state, {}, batch)
            found.append(float(terms["loss"]))
        return float(held_out), found

    whole, same = losses(0.0, 1)
    np.testing.assert_allclose(same, whole, rtol=1e-5)
    for parts in (1, 2):
        held_out, found = losses(0.5, parts)
        assert held_out == pytest.approx(whole, rel=1e-6) and len({*found, whole}) == 4
    with pytest.raises(UserError, match="blstm.narrow=1.5: a share is at most 1"):
        config.blstm.narrow = 1.5
        check_config(config)


def batches_of(count, size):
    """A batch of each stage."""
    random = np.random.default_rng(0)
    both = triplets(count, size)
    figures = {"figure": both["figures"][:, 0], "keypoints": both["keypoints"][:, 0]}
    windows = {
        "features": random.normal(size=(count, 15, 40)).astype(np.float32),
        "codes": random.normal(size=(count, 8)).astype(np.float32),
    }
    return {"vae": figures, "blstm": windows, "seqpix2pix": both}


def use_descent(monkeypatch, axis=None):
    """Every stage descends its gradient, see descent.py."""
    for module in (vae, blstm, seqpix2pix):
        monkeypatch.setattr(module, "optimiser", lambda c: descent(axis))


@pytest.mark.parametrize(
    "name", ["vae", "blstm", pytest.param("seqpix2pix", marks=pytest.mark.slow)]
)
def test_the_step_over_a_mesh_is_that_of_one_device_and_the_pmapped_step(monkeypatch, name):
    """Each device's own step: averaged gradients, synchronised BatchNorm, a slice of the noise."""
    size, devices, axis = 32, 8, "data"
    use_descent(monkeypatch)
    config = tiny(batch=devices, pixel=1.0, hands=4.0, reconstructed=0.5)
    config.vae.batch = config.blstm.batch = devices
    config.blstm.narrow = 0.5
    every = stages(config, size)
    stage, batch = every[name], batches_of(devices, size)[name]
    vae = jax.jit(every["vae"].init)(jax.random.key(1)).networks["vae"].variables
    frozen = {"vgg": {}, "vae": vae}
    # Smooth: on a kink, rounding decides about a gradient, and each processor rounds as it likes.
    monkeypatch.setattr(nn, "relu", nn.gelu)
    monkeypatch.setattr(nn, "leaky_relu", lambda x, slope: nn.gelu(x))
    monkeypatch.setattr(jnp, "abs", lambda x: jnp.sqrt(x**2 + 1e-3))
    state = jax.jit(stage.init)(jax.random.key(0))
    meshes = [device_mesh.data_mesh(count) for count in (devices, 1)]
    expected, single = (
        device_mesh.compile_step(stage, mesh)(
            jax.tree.map(jnp.copy, state), frozen, device_mesh.place(batch, mesh)
        )[0]
        for mesh in meshes
    )

    use_descent(monkeypatch, axis)
    bernoulli, normal, uniform = jax.random.bernoulli, jax.random.normal, jax.random.uniform

    def own_slice(draw, shape):
        whole = draw((devices * shape[0], *shape[1:]))
        return lax.dynamic_slice_in_dim(whole, lax.axis_index(axis) * shape[0], shape[0])

    drawn = {
        "bernoulli": lambda key, p, shape: own_slice(functools.partial(bernoulli, key, p), shape),
        "normal": lambda key, shape, dtype: own_slice(functools.partial(normal, key), shape),
        "uniform": lambda key, shape, **ends: own_slice(
            lambda shape: uniform(key, shape, **ends), shape
        ),
    }
    for draw, sliced in drawn.items():
        monkeypatch.setattr(jax.random, draw, sliced)
    monkeypatch.setattr(nn, "BatchNorm", functools.partial(nn.BatchNorm, axis_name=axis))
    split = {name: array[:, None] for name, array in batch.items()}
    step = jax.pmap(stage.step, axis_name=axis, in_axes=(None, None, 0))
    pmapped = jax.tree.map(lambda x: x[0], step(state, frozen, split)[0].networks)

    for name, network in expected.networks.items():
        for other in (single.networks[name], pmapped[name]):
            for a, b in (
                tuple(gradients(state.networks[name], n) for n in (network, other)),
                (network.batch_stats, other.batch_stats),
            ):
                a, b = (np.concatenate([[0.0], *map(np.ravel, jax.tree.leaves(x))]) for x in (a, b))
                assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(a), name


@pytest.mark.parametrize("name", ["vae", "blstm", "seqpix2pix"])
def test_products_in_bfloat16_leave_state_and_losses_in_float32_and_near(name):
    results = []
    for dtype in ("float32", "bfloat16"):
        config = tiny(pixel=1.0)
        getattr(config, name).dtype = dtype
        stage = stages(config, 32)[name]
        state = jax.jit(stage.init)(jax.random.key(0))
        new, terms = jax.jit(stage.step)(state, {"vgg": {}}, batches_of(4, 32)[name])
        chex.assert_trees_all_equal_shapes_and_dtypes(state, new)
        assert {x.dtype for x in jax.tree.leaves(terms)} == {jnp.dtype(jnp.float32)}
        results.append(terms)
    whole, rough = results
    assert any(whole[term] != rough[term] for term in whole), "nothing was taken in bfloat16"
    for term in whole.keys() - {"discriminator_accuracy"}:
        np.testing.assert_allclose(rough[term], whole[term], rtol=0.05, atol=1e-3, err_msg=term)


@pytest.mark.parametrize("name", ["vae", "blstm"])
def test_a_batch_in_four_parts_is_the_batch(monkeypatch, name):
    """Of stages without BatchNorm, whose noise is left out: each part draws its own."""
    size, count, states = 32, 8, []
    use_descent(monkeypatch)
    monkeypatch.setattr(jax.random, "normal", lambda key, shape, *_: jnp.zeros(shape))
    for parts in (1, 4):
        config = tiny()
        getattr(config, name).accumulate, getattr(config, name).batch = parts, count
        stage = stages(config, size)[name]
        state = jax.jit(stage.init)(jax.random.key(0))
        batch = batches_of(count, size)[name]
        states.append(jax.jit(stage.step)(state, {"vgg": {}}, batch))
        assert (stage.batch, stage.accumulate) == (count, parts)
    (whole, terms), (taken, same_terms) = states
    assert terms.keys() == same_terms.keys()
    for term in terms:
        np.testing.assert_allclose(terms[term], same_terms[term], rtol=1e-4, err_msg=term)
    a, b = (
        np.concatenate([np.ravel(x) for x in jax.tree.leaves(s.networks[name].params)])
        for s in (whole, taken)
    )
    assert 0 < np.linalg.norm(a) and np.linalg.norm(a - b) < 1e-4 * np.linalg.norm(a)


def test_a_gans_parts_have_fakes_and_batchnorm_of_their_own(monkeypatch):
    """Gradients and running averages are the means of those of each part alone."""
    monkeypatch.setattr(seqpix2pix_losses, "UNet", functools.partial(UNet, dropout=0.0))
    use_descent(monkeypatch)
    size, plain = 32, {"lambda1": 0.0, "lambda2": 0.0, "pixel": 1.0}
    both, alone = (
        stages(tiny(batch=count, accumulate=count, **plain), size)["seqpix2pix"] for count in (2, 1)
    )
    state, batch = jax.jit(both.init)(jax.random.key(0)), triplets(2, size)
    new, terms = jax.jit(both.step)(state, {"vgg": {}}, batch)
    step = jax.jit(alone.step)
    parts = [step(state, {"vgg": {}}, {k: x[i : i + 1] for k, x in batch.items()}) for i in (0, 1)]

    def made(new):
        return {
            name: (gradients(state.networks[name], n), n.batch_stats)
            for name, n in new.networks.items()
        }

    mean = jax.tree.map(lambda a, b: (a + b) / 2.0, *(made(part) for part, _ in parts))
    chex.assert_trees_all_close(made(new), mean, rtol=1e-3, atol=1e-6)
    assert int(new.step) == 1
    pixel = np.mean([terms["pixel"] for _, terms in parts])
    np.testing.assert_allclose(terms["pixel"], pixel, rtol=1e-4)


def poisoned(batch, name):
    """The batch with one number of an array that is none."""
    wrong = batch[name].copy()
    wrong.flat[wrong.size // 2] = np.nan
    return {**batch, name: wrong}


@pytest.mark.parametrize("name, what", [("vae", "figure"), ("seqpix2pix", "frames")])
def test_a_bad_batch_changes_nothing_of_any_network_and_a_good_one_all(name, what):
    """BatchNorm's averages, those of weights, and the optimisers of a GAN's both sides."""
    config = tiny(pixel=1.0, motion=1.0, lambda1=0.0, lambda2=0.0)
    config.vae.average, mesh = 0.99, device_mesh.data_mesh(1)
    stage = stages(config, 32)[name]
    take, state = device_mesh.compile_step(stage, mesh), device_mesh.first_state(stage, mesh, 0)
    batch = batches_of(2, 32)[name]
    good = {**batch, what: batch[what].astype(np.float32)}

    def taken(state, batch):
        new, metrics = take(state, {"vgg": {}}, device_mesh.place(batch, mesh))
        return new, float(metrics["skipped"])

    # One step, that optimisers have something to lose.
    state, _ = taken(state, good)
    before = jax.device_get((state.networks, jax.random.key_data(state.key)))
    state, skipped = taken(state, poisoned(good, what))
    after = jax.device_get((state.networks, jax.random.key_data(state.key)))
    chex.assert_trees_all_equal_shapes_and_dtypes(before, after)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert old.tobytes() == new.tobytes()
    assert skipped == 1 and int(state.step) == 2

    state, skipped = taken(state, good)
    assert skipped == 0 and int(state.step) == 3
    parts = {"params", "opt_state", "ema"} if name == "vae" else {"params", "opt_state"}
    for network, old in before[0].items():
        assert name == "vae" or old.batch_stats, "a network without BatchNorm"
        for part in parts | ({"batch_stats"} if old.batch_stats else set()):
            both = (jax.tree.leaves(getattr(s, part)) for s in (old, state.networks[network]))
            pairs = list(zip(*both, strict=True))
            assert pairs and any((a != b).any() for a, b in pairs), f"{network}: {part}"


def test_a_batch_that_does_not_part_is_refused():
    config = tiny()
    config.vae.accumulate = 3
    with pytest.raises(UserError, match="vae.accumulate=3: a batch of 2 cannot be taken in so man"):
        check_config(config)
    config.vae.accumulate = 0
    with pytest.raises(UserError, match="vae.accumulate=0: use a number that is more than 0"):
        check_config(config)


def test_the_conditional_discriminator_sees_the_figure_too():
    for conditional, channels in ((False, 3), (True, 6)):
        stage = stages(tiny(conditional_discriminator=conditional), SIZE)["seqpix2pix"]
        state = jax.eval_shape(stage.init, jax.random.key(0))
        kernels = [x for x in jax.tree.leaves(state.networks["D"].params) if len(x.shape) == 4]
        assert min(kernel.shape[2] for kernel in kernels) == min(channels, 4)
        assert any(kernel.shape[2] == channels for kernel in kernels)


def test_a_step_keeps_the_shapes_of_its_state():
    random = np.random.default_rng(0)
    keypoints = np.zeros((2, 137, 3), np.float32)
    batches = {
        "vae": {"figure": np.zeros((2, SIZE, SIZE, 3), np.uint8), "keypoints": keypoints},
        "blstm": {
            "features": random.normal(size=(4, 15, 40)).astype(np.float32),
            "codes": np.zeros((4, 8), np.float32),
        },
        "seqpix2pix": triplets(1, SIZE),
    }
    for name, stage in stages(tiny(), SIZE).items():
        state = jax.eval_shape(stage.init, jax.random.key(0))
        new, metrics = jax.eval_shape(stage.step, state, {"vgg": {}}, batches[name])
        assert jax.tree.map(lambda x: (x.shape, x.dtype), new) == jax.tree.map(
            lambda x: (x.shape, x.dtype), state
        )
        assert metrics and all(value.shape == () for value in metrics.values())


def test_pictures_come_back_from_both_ranges():
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    np.testing.assert_array_equal(to_uint8(unit(every), low=0.0), every)
    np.testing.assert_array_equal(to_uint8(signed(every), low=-1.0), every)
    assert float(signed(every).min()) == -1 and float(unit(every).max()) == 1
    np.testing.assert_array_equal(to_uint8(jnp.array([-3.0, 9.0]), low=-1.0), [0, 255])
    assert sheet([every[[0, 0]], every[[0, 0]]]).shape == (32, 32, 3)
