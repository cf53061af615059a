"""Clips prepared by Apache Beam: on this machine, on Dataflow, Flink or Spark, by its options.

Clip by clip: each is made whole by one of Beam's workers, in a folder that all of them see, and is
not made again when the run is. Beam is no dependency (it wants older packages than the rest).
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.clips.clip_plan import Footage
from lumiere_jax.inputs.clips.posed_pieces import release
from lumiere_jax.runtime.worker_processes import one_by_one
from lumiere_jax.workflows.footage_archives import make_archives

ERRORS = "errors"


def parse_options(text: str) -> Any:
    """Beam's options from NAME=VALUE,NAME=VALUE.

    Raises:
      UserError: Beam is not installed, or does not take these options.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions  # pyright: ignore[reportMissingImports]
        from apache_beam.runners import create_runner  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            f"--beam_options needs Apache Beam ({error}): pip install -r requirements-beam.txt."
        ) from error
    try:
        options = PipelineOptions(flags=[f"--{option}" for option in text.split(",")])
        options.get_all_options()
        create_runner(options.view_as(StandardOptions).runner or "DirectRunner")
    except (Exception, SystemExit) as error:  # argparse exits
        raise UserError(
            f"--beam_options={text}: {error}; write Beam's options as NAME=VALUE,NAME=VALUE, such "
            "as runner=DirectRunner."
        ) from error
    return options


def make_on_beam(kept: Path, footages: Sequence[Footage], options: Any) -> None:
    """Makes the archives of the clips, `kept/whole/<name>`.

    Raises:
      UserError: what is wrong with the first of the clips that cannot be made; all others are.
    """
    import apache_beam as beam  # pyright: ignore[reportMissingImports]

    shutil.rmtree(kept / ERRORS, ignore_errors=True)  # of a run that was killed
    with beam.Pipeline(options=options) as pipeline:
        clips = pipeline | "Clips" >> beam.Create(list(footages)) | beam.Reshuffle()
        _ = clips | "Prepare" >> beam.Map(_make_one, kept)
    if errors := sorted(kept.glob(f"{ERRORS}/*")):
        sentence = errors[0].read_text(errors="surrogateescape")
        shutil.rmtree(kept / ERRORS)
        raise UserError(sentence)


def _make_one(footage: Footage, kept: Path) -> None:
    """A mistake is left as a sentence: Beam would wrap it up, and try again."""
    try:
        make_archives(kept, [footage], one_by_one)
    except UserError as error:
        (kept / ERRORS).mkdir(exist_ok=True)
        (kept / ERRORS / footage.name).write_text(str(error), errors="surrogateescape")
    finally:
        release()
