"""Checks of a stage's log: a sentence with what to change if training goes wrong, otherwise None.

A log's lines have its stage's metrics by name, and "step".
"""

import functools
from collections.abc import Sequence

import numpy as np

from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.training.log import Check, Line

# Shares of a stage's steps: those that a mean covers, and those before the first check.
SPAN, BEGINNING = 0.2, 0.25
# Fewest values that make a mean; a run of a few steps shows nothing.
FEWEST = 4

WINS = 0.99
NATS = 0.01
SAME = 1.05
RISEN = 1.25


def checks(name: str, config: Config) -> dict[str, Check]:
    """Returns the checks of a stage's log, by kind of warning."""
    known = {
        "vae": {"kl_collapsed": kl_collapsed},
        "blstm": {"audio_ignored": audio_ignored, "overfitted": overfitted},
        "seqpix2pix": {"discriminator_wins": discriminator_wins},
    }
    return {kind: functools.partial(check, config) for kind, check in known[name].items()}


def recent(lines: Sequence[Line], name: str, steps: int, first: float = BEGINNING) -> float | None:
    """Averages a metric over the last fifth of `steps`.

    Returns None before the share `first` of the steps is done, and where values are few or not
    finite.
    """
    now = lines[-1]["step"]
    values = [line[name] for line in lines if name in line and line["step"] > now - SPAN * steps]
    enough = len(values) >= FEWEST and now >= first * steps and np.isfinite(values).all()
    return float(np.mean(values)) if enough else None


def kl_collapsed(config: Config, lines: Sequence[Line]) -> str | None:
    """Warns of a code so near its prior that it carries nothing from encoder to decoder."""
    c = config.vae
    kl = recent(lines, "kl", c.steps)
    if kl is None or kl >= NATS * c.code:
        return None
    return (
        f"vae: at step {lines[-1]['step']} the code of {c.code} numbers has a KL of {kl:.2g}, "
        f"under {NATS:g} for each, so it says next to nothing of the figure: lower --config.vae.kl "
        f"(now {c.kl:g}) tenfold, in a new --workdir."
    )


def audio_ignored(config: Config, lines: Sequence[Line]) -> str | None:
    """Warns if another frame's audio predicts the codes as well as their own."""
    c = config.blstm
    own = recent(lines, "val_loss", c.steps, 0.5)
    other = recent(lines, "val_loss_shuffled", c.steps, 0.5)
    if own is None or other is None or other >= SAME * own:
        return None
    return (
        f"blstm: at step {lines[-1]['step']} held-out codes are missed by {own:.3g} with their own "
        f"audio and by {other:.3g} with another frame's, so the code ignores the audio: give more "
        f"footage, learn faster with --config.blstm.learning_rate (now {c.learning_rate:g}), or, "
        f"in a new --workdir, let it hear more with --config.blstm.window (now {c.window}) or "
        f"--config.blstm.delay (now {c.delay})."
    )


def overfitted(config: Config, lines: Sequence[Line]) -> str | None:
    """Warns if predictions of held-out codes were better before."""
    c = config.blstm
    loss = recent(lines, "val_loss", c.steps)
    if loss is None:
        return None
    best = min((line for line in lines if "val_loss" in line), key=lambda line: line["val_loss"])
    if loss <= RISEN * best["val_loss"]:
        return None
    return (
        f"blstm: at step {lines[-1]['step']} held-out codes are missed by {loss:.3g}, and at step "
        f"{best['step']} it was {best['val_loss']:.3g}: it learns the training footage by heart; "
        f"give more footage, or fewer --config.blstm.steps (now {c.steps}) in a new --workdir."
    )


def discriminator_wins(config: Config, lines: Sequence[Line]) -> str | None:
    """Warns if D tells nearly all real and made frames apart, where G depends on Eq. 10.

    Beside a heavier pixel loss, D may win and do no harm.
    """
    c = config.seqpix2pix
    accuracy = recent(lines, "discriminator_accuracy", c.steps)
    harmless = not c.adversarial or c.adversarial < c.pixel
    if accuracy is None or accuracy < WINS or harmless:
        return None
    return (
        f"seqpix2pix: by step {lines[-1]['step']} the discriminator tells {accuracy:.1%} of real "
        "and made frames apart, so G learns little from it: if the pictures get no better, let a "
        "pixel loss lead (--config.seqpix2pix.pixel=50 --config.seqpix2pix.adversarial=0.01) "
        f"or lower --config.seqpix2pix.learning_rate (now {c.learning_rate:g})."
    )
