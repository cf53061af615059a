"""The model of a trained workdir, as synthesis and measures read it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lumiere_jax.errors import UserError
from lumiere_jax.runtime.compile_alarms import silence_alarms
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import Model
from lumiere_jax.systems.registry import ENTRIES
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows.artefacts import read_artefacts
from lumiere_jax.workflows.workdir import origin, read_run
from lumiere_jax.workflows.workdir_checks import check_follows


def record_of(model: Model) -> dict[str, Any]:
    """Returns the record of a model's videos: their origin, and the model's identifier."""
    return {**origin(model.run.consent), "model": model.id}


def load_model(workdir: Path) -> Model:
    """Loads a workdir's model, and warns of stages that have not taken all of their steps.

    Raises:
      UserError: the folder is no workdir, a stage is not trained, or the stages do not belong
        together.
    """
    silence_alarms()
    run = read_run(workdir)
    system = registry.of(run.config)
    every = system.stages(run.config, run.shape)
    steps = {name: checkpoint.require(workdir, stage) for name, stage in every.items()}
    variables: dict[str, Any] = {}
    artefacts: dict[str, Any] = {}
    for name, networks in system.networks.items():
        stage = every[name]
        for needed in stage.needs:
            check_follows(workdir, name, needed, steps[needed])
        ended = checkpoint.has_ended(workdir / name, stage.patience)
        if steps[name] < stage.steps and not ended:
            tqdm.write(f"warning: '{name}' has taken {steps[name]} of {stage.steps} steps.")
        variables[name] = checkpoint.restore_frozen(workdir, stage, *networks)
        if stage.leaves_artefacts:
            artefacts[name] = read_artefacts(workdir / name, steps[name])
    return Model(
        system=system,
        run=run,
        variables=variables,
        artefacts=artefacts,
        pretrained=system.pretrained_in_use(run.config),
        steps=steps,
    )


def with_defaults(workdir: Path, name: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns options with the defaults of the flags that a system adds to infer.py.

    Args:
      workdir: The workdir, for the message.
      name: Its system.
      options: Values of flags that were given.

    Raises:
      UserError: An option is no such flag.
    """
    own = {flag.name: flag.default for flag in ENTRIES[name].flags}
    if other := [option for option in options or {} if option not in own]:
        raise UserError(
            f"--{other[0]} is no flag of '{name}', of which {workdir} is: leave it out."
        )
    return {**own, **(options or {})}
