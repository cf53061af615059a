"""Trials of the paper's experiments (section 4.5) and of the ablation of `lecture`."""

import copy
from dataclasses import dataclass
from typing import Any

from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.systems.lumierenet.config import Config

WINDOWS = (1, 5, 10, 15, 20, 30)
STAGES = ("vae", "blstm", "seqpix2pix")
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


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A workdir to train and measure.

    Attributes:
      name: Name of the workdir's folder.
      title: Name shown on the page.
      config: Config of all stages.
      trains: Stages that the trial trains itself.
      links: Trial whose other stages it links to.
      figure_4a: Whether its BLSTM's losses are a point of Figure 4(a).
      data: Its dataset, where it differs from the other trials'.
    """

    name: str
    title: str
    config: Config
    trains: tuple[str, ...] = STAGES
    links: str = ""
    figure_4a: bool = False
    data: Dataset | None = None

    @property
    def draws(self) -> bool:
        """Whether its frames are evaluated; false for a point of Figure 4(a) and a VAE alone."""
        points = self.figure_4a and self.trains == ("blstm",)
        return not points and not self.codes_alone

    @property
    def codes_alone(self) -> bool:
        """Whether it trains only a VAE, whose reconstructed figures are measured."""
        return self.trains == ("vae",)


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
        config = changed(paper, stage, **values)
        return Trial(
            name=name,
            title=title,
            config=config,
            trains=(stage,),
            links="seqpix2pix",
            figure_4a=stage == "blstm",
        )

    windows = [
        linked(f"window-{window}", f"look-back window {window}", "blstm", window=window)
        for window in WINDOWS
        if window != paper.blstm.window
    ]
    adversarial = {"lambda0": 0.0, "lambda1": 0.0, "lambda2": 0.0}
    structural = {"lambda1": 0.0, "lambda2": 0.0}
    return [
        Trial(name="seqpix2pix", title="SeqPix2Pix", config=paper, figure_4a=True),
        *windows,
        # No other loss ties its frames to the figures, so D has to see both.
        linked(
            "baseline-1", "Baseline 1", "seqpix2pix", conditional_discriminator=True, **adversarial
        ),
        linked("baseline-2", "Baseline 2", "seqpix2pix", **structural),
        Trial(name="lecture", title="lecture", config=lecture),
    ]


def ablation_trials(lecture: Config, plain: Dataset | None = None) -> list[Trial]:
    """Returns the trial of `lecture`, and one for each single change of it (`ROWS`).

    A dataset `plain` of the same footage without explicit eyes, lips and fingers adds one trial.
    """
    trials = [Trial(name="lecture", title="lecture", config=lecture)]
    if plain:
        title = "without explicit eyes, lips and fingers"
        trials.append(Trial(name="plain", title=title, config=lecture, data=plain))
    for name, (title, part, values) in ROWS.items():
        config = changed(lecture, part, **values)
        # `lecture`'s other stages are trained on its own VAE and would misjudge another.
        links = "" if part == "vae" else "lecture"
        trials.append(Trial(name=name, title=title, config=config, trains=(part,), links=links))
    return trials
