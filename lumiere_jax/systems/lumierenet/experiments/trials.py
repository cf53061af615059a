"""Trials of the paper's experiments (section 4.5) and of the ablation of `lecture`."""

import copy
from typing import Any

from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.systems.experiment import Trial
from lumiere_jax.systems.lumierenet import ENTRY
from lumiere_jax.systems.lumierenet.config import Config
from lumiere_jax.systems.lumierenet.experiments.stage_measures import blstm_losses, figure_measures

WINDOWS = (1, 5, 10, 15, 20, 30)
STAGES = ENTRY.stages
# Files in a workdir: the points of Figure 4(a), and the measures of a VAE alone.
LOSSES, FIGURES = "losses.json", "figures.json"
_EVEN: dict[str, Any] = dict.fromkeys(("mouth", "eyes", "hands", "face"), 1.0)
_TEMPORAL = {name: getattr(Config().seqpix2pix, name) for name in ("lambda1", "lambda2")}
# Rows of the ablation: title, changed stage, and changed config fields.
ROWS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vae-perceptual": (
        "VAE by VGG-19's features, the paper's",
        "vae",
        {"perceptual": 1.0, "pixel": 0.0, "kl": Config().vae.kl},
    ),
    "vae-no-parts": ("VAE without the weights of parts", "vae", _EVEN),
    "vae-no-average": ("VAE without the average", "vae", {"average": 0.0}),
    "vae-no-warm-up": ("VAE without the warm-up", "vae", {"warm_up": 0}),
    "no-narrow": ("without narrow bands", "blstm", {"narrow": 0.0}),
    "no-reconstructions": ("without reconstructions", "seqpix2pix", {"reconstructed": 0.0}),
    "no-parts": ("without the weights of parts", "seqpix2pix", _EVEN),
    "no-structural": ("without the structural term", "seqpix2pix", {"lambda0": 0.0}),
    "no-pixel": ("without the pixel term", "seqpix2pix", {"pixel": 0.0}),
    "no-motion": ("without the motion term", "seqpix2pix", {"motion": 0.0}),
    "more-motion": ("with a motion weight of 400", "seqpix2pix", {"motion": 400.0}),
    "loud-adversary": ("with an adversarial weight of 1", "seqpix2pix", {"adversarial": 1.0}),
    "temporal": ("with the paper's temporal terms", "seqpix2pix", _TEMPORAL),
}


def changed(config: Config, part: str, **values: Any) -> Config:
    """Returns a copy of the config with changed fields of one stage."""
    config = copy.deepcopy(config)
    for name, value in values.items():
        if not hasattr(getattr(config, part), name):
            raise AttributeError(f"a config has no field {part}.{name}")
        setattr(getattr(config, part), name, value)
    return config


def paper_trials(paper: Config, lecture: Config) -> list[Trial]:
    """Returns the trials of the full model, Figure 4(a), Table 1's baselines, and `lecture`."""

    def linked(name: str, title: str, stage: str, **values: Any) -> Trial:
        return Trial(
            name=name,
            title=title,
            config=changed(paper, stage, **values),
            trains=(stage,),
            links="seqpix2pix",
            evaluated=stage != "blstm",
            measures=figure_4a if stage == "blstm" else {},
        )

    figure_4a = {LOSSES: blstm_losses}

    windows = [
        linked(f"window-{window}", f"look-back window {window}", "blstm", window=window)
        for window in WINDOWS
        if window != paper.blstm.window
    ]
    adversarial = {"lambda0": 0.0, "lambda1": 0.0, "lambda2": 0.0}
    structural = {"lambda1": 0.0, "lambda2": 0.0}
    return [
        _whole("seqpix2pix", "SeqPix2Pix", paper, measures=figure_4a),
        *windows,
        # No other loss ties its frames to the figures, so D has to see both.
        linked(
            "baseline-1", "Baseline 1", "seqpix2pix", conditional_discriminator=True, **adversarial
        ),
        linked("baseline-2", "Baseline 2", "seqpix2pix", **structural),
        _whole("lecture", "lecture", lecture),
    ]


def ablation_trials(lecture: Config, plain: Dataset | None = None) -> list[Trial]:
    """Returns the trial of `lecture`, and one for each single change of it (`ROWS`).

    A dataset `plain` of the same footage without explicit eyes, lips and fingers adds one trial.
    """
    trials = [_whole("lecture", "lecture", lecture)]
    if plain:
        title = "without explicit eyes, lips and fingers"
        trials.append(_whole("plain", title, lecture, data=plain))
    for name, (title, part, values) in ROWS.items():
        # `lecture`'s other stages are trained on its own VAE and would misjudge another.
        alone = part == "vae"
        trials.append(
            Trial(
                name=name,
                title=title,
                config=changed(lecture, part, **values),
                trains=(part,),
                links="" if alone else "lecture",
                evaluated=not alone,
                measures={FIGURES: figure_measures} if alone else {},
            )
        )
    return trials


def _whole(name: str, title: str, config: Config, **more: Any) -> Trial:
    return Trial(name=name, title=title, config=config, trains=STAGES, **more)
