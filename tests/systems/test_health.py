"""Each warning on a log that goes wrong and on the same log that goes well."""

import numpy as np
import pytest

from lumiere_jax.systems.lumierenet import health
from lumiere_jax.systems.lumierenet.config import Config

STEPS = 1000


def log(last=STEPS, **metrics):
    """Lines of every tenth step; metrics are numbers or functions of the share of the steps."""
    return [
        {
            "step": step,
            **{k: v(step / STEPS) if callable(v) else v for k, v in metrics.items()},
        }
        for step in range(10, last + 1, 10)
    ]


@pytest.fixture
def config():
    config = Config()
    config.vae.steps = config.blstm.steps = config.seqpix2pix.steps = STEPS
    return config


def found(name, config, lines):
    said = {kind: check(lines) for kind, check in health.checks(name, config).items()}
    return {kind: sentence for kind, sentence in said.items() if sentence}


def test_a_code_without_information_is_told_from_one_with_it(config):
    assert not found("vae", config, log(kl=lambda t: 100 * t))
    said = found("vae", config, log(kl=lambda t: 100 * np.exp(-20 * t)))["kl_collapsed"]
    assert "at step 1000 the code of 128 numbers has a KL of" in said
    assert "lower --config.vae.kl (now 0.02)" in said
    # Every VAE starts at its prior.
    assert not found("vae", config, log(last=200, kl=0.0))
    assert found("vae", config, log(last=300, kl=0.0))


def test_a_code_that_ignores_the_audio_is_as_good_with_another(config):
    def learning(t):
        return 1 - 0.5 * t

    heard = log(val_loss=learning, val_loss_shuffled=1.0)
    assert not found("blstm", config, heard)
    deaf = log(val_loss=learning, val_loss_shuffled=lambda t: 1.02 * learning(t))
    said = found("blstm", config, deaf)["audio_ignored"]
    assert "by 0.548 with their own audio and by 0.558 with another frame's" in said
    for field in ("window (now 15)", "delay (now 0)", "learning_rate (now 1e-06)"):
        assert f"--config.blstm.{field}" in said
    assert not found("blstm", config, deaf[:49])  # half of the steps are for finding out
    assert not found("blstm", config, log(val_loss=learning))
    nan = float("nan")
    assert not found("blstm", config, log(val_loss=nan, val_loss_shuffled=1.0)), "nobody knows"


def test_learning_by_heart_shows_in_what_was_held_out(config):
    def rising(t):
        return 1 + (t - 0.3) ** 2 * 4

    lines = log(val_loss=rising)
    said = found("blstm", config, lines)["overfitted"]
    assert "at step 300 it was 1: it learns the training footage by heart" in said
    assert "--config.blstm.steps (now 1000)" in said
    assert not found("blstm", config, lines[:40])
    assert not found("blstm", config, log(val_loss=lambda t: 1 + 0.1 * np.sin(50 * t)))


@pytest.mark.parametrize(
    "adversarial, pixel, said",
    [(1.0, 0.0, True), (1.0, 0.5, True), (0.01, 50.0, False), (0.0, 0.0, False)],
)
def test_a_discriminator_that_wins_matters_where_g_lives_on_it(config, adversarial, pixel, said):
    config.seqpix2pix.adversarial, config.seqpix2pix.pixel = adversarial, pixel
    won = found("seqpix2pix", config, log(discriminator_accuracy=lambda t: min(1.0, 0.5 + t)))
    assert bool(won) == said
    if said:
        assert "tells 100.0% of real and made frames apart" in won["discriminator_wins"]
        assert "--config.seqpix2pix.adversarial=0.01" in won["discriminator_wins"]
    assert not found("seqpix2pix", config, log(discriminator_accuracy=0.9))


@pytest.mark.parametrize("steps", [1, 4, 15])
def test_a_trial_of_a_few_steps_says_nothing(config, steps):
    for name, metrics in {
        "vae": {"kl": 0.0},
        "blstm": {"val_loss": 1.0, "val_loss_shuffled": 1.0},
        "seqpix2pix": {"discriminator_accuracy": 1.0},
    }.items():
        getattr(config, name).steps = steps
        lines = [{"step": step, **metrics} for step in range(1, steps + 1)]
        assert not found(name, config, lines)


def test_a_log_without_the_metrics_says_nothing(config):
    for name in ("vae", "blstm", "seqpix2pix"):
        assert not found(name, config, log(loss=1.0))
