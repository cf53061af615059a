"""Clips prepared by Apache Beam: on this machine, Dataflow, Flink or Spark, by its options.

Each of Beam's workers makes whole clips, in a folder that all workers share. A later run skips the
clips that are complete. Beam is not a dependency, since it requires older packages than the rest.
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
    """Parses Beam's options from NAME=VALUE,NAME=VALUE.

    Raises:
      UserError: Beam is not installed, or rejects these options.
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
    """Makes the clips' archives, `kept/whole/<name>`.

    Raises:
      UserError: a clip is unusable. The error is that of the first such clip; all usable clips are
        made.
    """
    import apache_beam as beam  # pyright: ignore[reportMissingImports]

    shutil.rmtree(kept / ERRORS, ignore_errors=True)  # left by a killed run
    with beam.Pipeline(options=options) as pipeline:
        clips = pipeline | "Clips" >> beam.Create(list(footages)) | beam.Reshuffle()
        _ = clips | "Prepare" >> beam.Map(_make_one, kept)
    if errors := sorted(kept.glob(f"{ERRORS}/*")):
        sentence = errors[0].read_text(errors="surrogateescape")
        shutil.rmtree(kept / ERRORS)
        raise UserError(sentence)


def _make_one(footage: Footage, kept: Path) -> None:
    """Makes one clip's archive, writing a UserError to a file: Beam would wrap it and retry."""
    try:
        make_archives(kept, [footage], one_by_one)
    except UserError as error:
        (kept / ERRORS).mkdir(exist_ok=True)
        (kept / ERRORS / footage.name).write_text(str(error), errors="surrogateescape")
    finally:
        release()
