"""A dataset's records: a TFDS builder on array_record."""

import contextlib
import functools
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from lumiere_jax.audio.features import FILTERS
from lumiere_jax.inputs import lectures
from lumiere_jax.inputs.records import Records

NAME, VERSION = "lectures", "1.0.0"
ENCODED = {name: tfds.decode.SkipDecoding() for name in ("frame", "figure")}


@functools.cache
def features() -> Any:
    """What an example holds."""
    return tfds.features.FeaturesDict(
        {
            "frame": tfds.features.Image(encoding_format="jpeg"),
            "figure": tfds.features.Image(encoding_format="png"),
            "keypoints": tfds.features.Tensor(shape=(137, 3), dtype=np.float32),
            "features": tfds.features.Tensor(shape=(FILTERS,), dtype=np.float32),
            "aperture": np.float32,
        }
    )


class Lectures(tfds.core.GeneratorBasedBuilder):
    """Frames, figures, keypoints and audio features of prepared clips, in time order.

    `archives` is the folder of the clips' archives.
    """

    VERSION = tfds.core.Version(VERSION)

    def __init__(
        self,
        *,
        archives: Path,
        segments: tuple[lectures.Segment, ...],
        fps: Fraction,
        beam: bool = False,
        **kwargs: Any,
    ):
        self._archives, self._segments, self._fps, self._beam = archives, segments, fps, beam
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=features(),
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


def records(folder: Path, split: str) -> Records:
    """Random access to a split's examples, the pictures still encoded; raises what comes.

    TFDS would follow what the folder's `dataset_info.json` and `features.json` name. Their author
    may be anyone: the features are those above, the files those that are there.
    """
    place = folder / NAME / VERSION
    files = sorted(place.glob(f"{NAME}-{split}.array_record-?????-of-?????"))
    stored = ArrayRecordDataSource([str(file) for file in files])
    parse = functools.partial(features().deserialize_example_np, decoders=ENCODED)
    return Records(stored, parse, f"{folder}, '{split}' split")
