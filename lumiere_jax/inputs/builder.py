"""A dataset's records: a TFDS builder on array_record."""

import contextlib
import functools
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from lumiere_jax.audio.features import FILTERS
from lumiere_jax.inputs import lectures


class Lectures(tfds.core.GeneratorBasedBuilder):
    """Frames, figures, keypoints and audio features of prepared clips, in time order.

    `archives` is the folder of the clips' archives; without it an existing dataset is read.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        archives: Path | None = None,
        segments: tuple[lectures.Segment, ...] = (),
        fps: Fraction = Fraction(30),
        beam: bool = False,
        **kwargs: Any,
    ):
        self._archives, self._segments, self._fps, self._beam = archives, segments, fps, beam
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "frame": tfds.features.Image(encoding_format="jpeg"),
                    "figure": tfds.features.Image(encoding_format="png"),
                    "keypoints": tfds.features.Tensor(shape=(137, 3), dtype=np.float32),
                    "features": tfds.features.Tensor(shape=(FILTERS,), dtype=np.float32),
                    "aperture": np.float32,
                }
            ),
            # The order is time: neighbours must stay neighbours.
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        present = {s.split for s in self._segments}
        return {
            split: self._generate_examples([s for s in self._segments if s.split == split])
            for split in lectures.SPLITS
            if split in present
        }

    def _generate_examples(self, segments: list[lectures.Segment]) -> Any:
        assert self._archives is not None
        read = functools.partial(lectures.read_segment, self._archives, fps=self._fps)
        if self._beam:
            import apache_beam as beam  # pyright: ignore[reportMissingImports]

            return beam.Create(segments) | beam.Reshuffle() | beam.FlatMap(read)
        return itertools.chain.from_iterable(map(read, segments))


def build(
    folder: Path,
    archives: Path,
    segments: tuple[lectures.Segment, ...],
    fps: Fraction,
    beam_options: Any = None,
) -> None:
    """Writes the segments' examples into `folder`, with a bar of our own in TFDS's place; through
    Beam where its options are given."""
    tfds.disable_progress_bar()
    through = {"archives": archives, "segments": segments, "fps": fps}
    builder = Lectures(data_dir=str(folder), beam=beam_options is not None, **through)
    config = tfds.download.DownloadConfig(beam_options=beam_options)
    with contextlib.redirect_stdout(None):  # it speaks of downloads
        builder.download_and_prepare(download_config=config)


def data_source(folder: Path, split: str) -> Any:
    """Random access to a split's examples, the pictures still encoded; raises what comes."""
    skip = {name: tfds.decode.SkipDecoding() for name in ("frame", "figure")}
    builder: Any = Lectures(data_dir=str(folder))
    return builder.as_data_source(split=split, decoders=skip)
