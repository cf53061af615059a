"""Checks of a config's numbers, before anything is built."""

import math
from collections.abc import Collection
from typing import Any

from lumiere_jax.errors import UserError, shortened

DTYPES = ("float32", "bfloat16")
# No machine has room for more; a damaged file might ask for it. Steps are counted in 32 bits.
MOST = {"batch": 2**16, "code": 2**16, "cells": 2**14, "width": 2**12, "window": 2**12}
MOST |= {"delay": 2**12, "dispatch": 2**12, "frames": 2**12, "noise": 2**12, "identity": 2**12}
ANY = 2**31 - 1


def check_run(config: Any, system: str) -> None:
    """Raises UserError for a wrong system, seed or number of seconds between checkpoints."""
    if config.system != system:
        raise UserError(f"config.system is '{config.system}', but this config is for {system}.")
    if not config.checkpoint_seconds >= 0:
        raise UserError(f"--config.checkpoint_seconds={config.checkpoint_seconds}: use 0 or more.")
    if not 0 <= config.seed < 2**32:
        raise UserError(f"--config.seed={config.seed}: use 0 to {2**32 - 1}.")


def check_numbers(stage: str, part: Any, positive: Collection[str]) -> None:
    """Raises UserError for a stage's numbers that are out of range.

    Args:
      stage: Name of the stage.
      part: Its config. Numbers have to be finite, 0 or more, and whole ones at most `MOST`.
      positive: Names of those that have to be more than 0.
    """
    for key, value in vars(part).items():
        if key == "dtype":
            if value not in DTYPES:
                choice = " or ".join(DTYPES)
                raise UserError(f"--config.{stage}.dtype={value}: choose {choice}.")
        elif isinstance(value, int) and value > MOST.get(key, ANY):
            most = MOST.get(key, ANY)
            raise UserError(f"--config.{stage}.{key}={shortened(str(value))}: use at most {most}.")
        elif not math.isfinite(value) or value < 0 or (key in positive and not value):
            wanted = "more than 0" if key in positive else "0 or more"
            raise UserError(f"--config.{stage}.{key}={value}: use a number that is {wanted}.")


def check_parts(stage: str, part: Any) -> None:
    """Raises UserError where a batch cannot be split into `accumulate` equal parts."""
    if part.batch % part.accumulate:
        raise UserError(
            f"--config.{stage}.accumulate={part.accumulate}: a batch of {part.batch} cannot be "
            "taken in so many equal parts."
        )


def check_decays(stage: str, part: Any, *names: str) -> None:
    """Raises UserError for decays of 1 or more."""
    for name in names:
        if (value := getattr(part, name)) >= 1:
            raise UserError(f"--config.{stage}.{name}={value}: a decay is under 1.")
