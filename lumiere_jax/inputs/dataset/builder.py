"""A dataset's records: a TFDS builder on array_record."""

import contextlib
import dataclasses
import functools
import itertools
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from lumiere_jax.inputs.dataset import clip_archives
from lumiere_jax.inputs.dataset.columns import Column, pictures
from lumiere_jax.inputs.dataset.records import Records
from lumiere_jax.inputs.dataset.segments import SPLITS, Segment
from lumiere_jax.paths import plainly_named

NAME, VERSION = "lectures", "1.0.0"


@functools.cache
def features(columns: tuple[Column, ...]) -> Any:
    """Returns TFDS's description of an example."""
    return tfds.features.FeaturesDict({column.name: _feature(column) for column in columns})


def _feature(column: Column) -> Any:
    if column.is_picture:
        return tfds.features.Image(encoding_format=column.encoding)
    dtype = np.dtype(column.dtype).type
    return tfds.features.Tensor(shape=column.shape, dtype=dtype) if column.shape else dtype


class Lectures(tfds.core.GeneratorBasedBuilder):
    """TFDS builder of the columns of prepared clips' frames, in time order.

    `archives` is the folder of the clips' archives.
    """

    VERSION = tfds.core.Version(VERSION)

    def __init__(
        self,
        *,
        archives: Path,
        segments: tuple[Segment, ...],
        columns: tuple[Column, ...],
        beam: bool = False,
        **kwargs: Any,
    ):
        self._segments, self._columns, self._beam = segments, columns, beam
        self._read = functools.partial(clip_archives.read_segment, archives, columns)
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=features(self._columns),
            # The order is time: neighbours must stay neighbours.
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        present = {s.split for s in self._segments}
        return {
            split: self._generate_examples([s for s in self._segments if s.split == split])
            for split in SPLITS
            if split in present
        }

    def _generate_examples(self, segments: list[Segment]) -> Any:
        if self._beam:
            import apache_beam as beam  # pyright: ignore[reportMissingImports]

            return beam.Create(segments) | beam.Reshuffle() | beam.FlatMap(self._read)
        return itertools.chain.from_iterable(map(self._read, segments))


def build(
    folder: Path,
    archives: Path,
    segments: tuple[Segment, ...],
    columns: tuple[Column, ...],
    beam_options: Any = None,
) -> None:
    """Writes the segments' examples into `folder`, without TFDS's progress bar.

    Args:
      archives: Folder of the clips' archives.
      beam_options: Apache Beam's options; without them, no Beam.
    """
    tfds.disable_progress_bar()
    # The columns are filled already, and Beam could not always send the functions that fill them.
    columns = tuple(dataclasses.replace(column, fill=None) for column in columns)
    through = {"archives": archives, "segments": segments, "columns": columns}
    config = tfds.download.DownloadConfig(beam_options=beam_options)
    with plainly_named(folder) as place:
        builder = Lectures(data_dir=str(place), beam=beam_options is not None, **through)
        with contextlib.redirect_stdout(None):  # TFDS prints messages about downloads
            builder.download_and_prepare(download_config=config)


def records(folder: Path, split: str, columns: tuple[Column, ...]) -> Records:
    """Opens a split's examples for random access, with pictures still encoded.

    TFDS would follow what the folder's `dataset_info.json` and `features.json` name, and their
    author may be anyone. Here the columns are those given, and the files those in the folder.
    Errors of array_record are not converted.
    """
    with contextlib.ExitStack() as held:
        place = held.enter_context(plainly_named(folder)) / NAME / VERSION
        files = sorted(place.glob(f"{NAME}-{split}.array_record-?????-of-?????"))
        stored = ArrayRecordDataSource([str(file) for file in files])
        weakref.finalize(stored, held.pop_all().close)
    encoded = {column.name: tfds.decode.SkipDecoding() for column in pictures(columns)}
    parse = functools.partial(features(columns).deserialize_example_np, decoders=encoded)
    return Records(stored, parse, f"{folder}, '{split}' split")
