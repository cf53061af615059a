from dataclasses import asdict

import jax
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.systems.lumierenet.config import Config, check_config
from lumiere_jax.systems.lumierenet.system import stages
from lumiere_jax.systems.registry import ENTRIES
from lumiere_jax.systems.temporal_gan.config import Config as FacesConfig
from lumiere_jax.systems.temporal_gan.config import check_config as check_faces

PRESETS = ("lecture", "paper", "small", "demo", "tiny")


def test_the_presets_are_these_and_another_is_refused_with_them(presets):
    assert tuple(presets.PRESETS) == PRESETS
    with pytest.raises(
        UserError, match="no preset 'large': choose lecture, paper, small, demo, tiny"
    ):
        presets.get_config("large")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_passes_its_own_check_and_is_new_each_time(presets, preset):
    config = presets.get_config(preset)
    check_config(config)
    before = asdict(config)
    config.vae.steps = 123_456_789
    assert asdict(presets.get_config(preset)) == before


def test_paper_is_the_papers_numbers(presets):
    config = presets.get_config("paper")
    assert asdict(config) == asdict(Config())
    v, b, s = config.vae, config.blstm, config.seqpix2pix
    assert (v.code, v.batch, v.learning_rate) == (128, 32, 2.5e-4)
    assert (b.cells, b.window) == (256, 15)
    assert (s.lambda0, s.lambda1, s.lambda2, s.beta1, s.stride) == (0.05, 10.0, 10.0, 0.5, 30)
    assert config.vgg_layers == ("pool1", "pool2", "pool3")
    # What the paper does not have is off.
    assert (v.pixel, s.pixel, v.average, s.motion, s.adversarial) == (0, 0, 0, 0, 1)
    assert (b.narrow, s.reconstructed) == (0, 0)


@pytest.mark.parametrize("preset", ["lecture", "small", "demo"])
def test_what_is_trained_in_earnest_hears_narrow_bands_too(presets, preset):
    assert presets.get_config(preset).blstm.narrow == 0.5


@pytest.mark.parametrize("preset", ["small", "demo"])
def test_what_runs_on_two_cores_needs_no_weights_and_uses_every_frame(presets, preset):
    config = presets.get_config(preset)
    assert config.vgg == "none" and config.vae.pixel > 0
    assert config.seqpix2pix.stride == 1 and config.seqpix2pix.pixel > 0


@pytest.mark.parametrize("preset, size", [("paper", 256), ("small", 128), ("tiny", 64)])
def test_every_stage_of_a_preset_has_a_state(presets, preset, size):
    every = stages(presets.get_config(preset), size)
    assert list(every) == ["vae", "blstm", "seqpix2pix"]
    for name, stage in every.items():
        assert stage.name == name and set(stage.needs) <= set(every)
        state = jax.eval_shape(stage.init, jax.random.key(0))
        assert state.step.shape == ()
        assert all(network.params for network in state.networks.values())


FACES = ("paper", "small", "demo", "tiny")


@pytest.mark.parametrize("preset", FACES)
@pytest.mark.parametrize("part", ["", "-l1", "-frame", "-static"])
def test_presets_of_faces_pass_their_own_check(faces_presets, preset, part):
    config = faces_presets.get_config(preset + part)
    check_faces(config)
    c = config.animator
    adversaries = c.frame_adversarial > 0, c.sequence_adversarial > 0
    assert (
        adversaries
        == {
            "": (True, True),
            "-l1": (False, False),
            "-frame": (True, False),
            "-static": (True, False),
        }[part]
    )
    assert c.recurrent == (part != "-static")


def test_the_paper_of_faces_is_the_papers_numbers(faces_presets):
    config = faces_presets.get_config("paper")
    assert asdict(config) == asdict(FacesConfig())
    c = config.animator
    assert (c.cells, c.identity, c.noise, c.reconstruction) == (256, 50, 10, 400)
    rates = (c.learning_rate, c.frame_learning_rate, c.sequence_learning_rate)
    assert rates == (2e-4, 1e-3, 5e-5)
    assert (c.rate_decay, c.decay_after, c.patience) == (0.9, 20, 10)
    # What the paper does not have is off.
    assert (c.upper, c.average) == (0, 0)


def test_another_preset_of_faces_is_refused(faces_presets):
    for name in ("large", "small-l2", "-l1"):
        with pytest.raises(UserError, match=f"no preset '{name}'"):
            faces_presets.get_config(name)


def test_presets_that_experiments_repeat_are_there(presets, faces_presets):
    modules = {"lumierenet": presets, "temporal_gan": faces_presets}
    for name, entry in ENTRIES.items():
        for repeats in entry.repeats.values():
            assert all(modules[name].get_config(preset) for preset in repeats.presets)
    ablation = ENTRIES["temporal_gan"].repeats["ablation"]
    assert ablation.presets == ("small-l1", "small-frame", "small", "small-static")
    assert ablation.steps == 300
