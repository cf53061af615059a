"""A dataset's records: a TFDS builder on array_record."""

import contextlib
import functools
import itertools
import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from lumiere_jax.audio.features import FILTERS
from lumiere_jax.inputs import lectures
from lumiere_jax.inputs.records import Records
from lumiere_jax.inputs.segments import SPLITS, Segment
from lumiere_jax.paths import plainly_named

NAME, VERSION = "lectures", "1.0.0"
ENCODINGS = {"frame": "jpeg", "figure": "png"}


@functools.cache
def features(pictures: tuple[str, ...]) -> Any:
    """What an example holds."""
    return tfds.features.FeaturesDict(
        {
            **{name: tfds.features.Image(encoding_format=ENCODINGS[name]) for name in pictures},
            "keypoints": tfds.features.Tensor(shape=(137, 3), dtype=np.float32),
            "features": tfds.features.Tensor(shape=(FILTERS,), dtype=np.float32),
            "aperture": np.float32,
        }
    )


class Lectures(tfds.core.GeneratorBasedBuilder):
    """Frames, figures, keypoints and audio features of prepared clips, in time order.

    `archives` is the folder of the clips' archives, `pictures` those of each frame.
    """

    VERSION = tfds.core.Version(VERSION)

    def __init__(
        self,
        *,
        archives: Path,
        segments: tuple[Segment, ...],
        fps: Fraction,
        pictures: tuple[str, ...],
        beam: bool = False,
        **kwargs: Any,
    ):
        self._segments, self._pictures, self._beam = segments, pictures, beam
        self._read = functools.partial(
            lectures.read_segment, archives, segments, fps=fps, pictures=pictures
        )
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=features(self._pictures),
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
    fps: Fraction,
    pictures: tuple[str, ...],
    beam_options: Any = None,
) -> None:
    """Writes the segments' examples into `folder`, with a bar of our own in TFDS's place; through
    Beam where its options are given."""
    tfds.disable_progress_bar()
    through = {"archives": archives, "segments": segments, "fps": fps, "pictures": pictures}
    config = tfds.download.DownloadConfig(beam_options=beam_options)
    with plainly_named(folder) as place:
        builder = Lectures(data_dir=str(place), beam=beam_options is not None, **through)
        with contextlib.redirect_stdout(None):  # it speaks of downloads
            builder.download_and_prepare(download_config=config)


def records(folder: Path, split: str, pictures: tuple[str, ...]) -> Records:
    """Random access to a split's examples, the pictures still encoded; raises what comes.

    TFDS would follow what the folder's `dataset_info.json` and `features.json` name. Their author
    may be anyone: the features are those above, the files those that are there.
    """
    with contextlib.ExitStack() as held:
        place = held.enter_context(plainly_named(folder)) / NAME / VERSION
        files = sorted(place.glob(f"{NAME}-{split}.array_record-?????-of-?????"))
        stored = ArrayRecordDataSource([str(file) for file in files])
        weakref.finalize(stored, held.pop_all().close)
    encoded = {name: tfds.decode.SkipDecoding() for name in pictures}
    parse = functools.partial(features(pictures).deserialize_example_np, decoders=encoded)
    return Records(stored, parse, f"{folder}, '{split}' split")
