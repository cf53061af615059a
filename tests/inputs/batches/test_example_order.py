import itertools
import subprocess
import sys

import chex
import cv2
import numpy as np
import pytest

from lumiere_jax.inputs.batches import record_reader
from lumiere_jax.inputs.batches.example_order import shuffled_indices
from lumiere_jax.inputs.dataset.lectures import Dataset
from lumiere_jax.inputs.dataset.records import Records
from lumiere_jax.inputs.media import picture_bytes
from lumiere_jax.systems.lumierenet import batches

ITEMS = np.arange(10, 17)


def stamps(batch):
    """(clip, frame) of each figure."""
    return [tuple(int(x) for x in w[0, 0, :2]) for w in batch["figure"]]


def take(batches, count):
    return [stamps(batch) for batch in itertools.islice(batches, count)]


def test_every_item_comes_once_an_epoch_in_another_order_each(noise):
    drawn = sum(take(batches.figure_batches(noise, "train", 6, seed=0), 20), [])
    first, second = drawn[:60], drawn[60:]
    assert len(set(first)) == len(set(second)) == 60
    assert first != sorted(first) and first != second


def test_batches_are_a_function_of_seed_and_step(noise):
    whole = take(batches.figure_batches(noise, "train", 7, seed=5), 12)
    again = take(batches.figure_batches(noise, "train", 7, seed=5, first=4), 8)
    assert again == whole[4:]
    assert take(batches.figure_batches(noise, "train", 7, seed=6), 12) != whole
    assert len(list(batches.figure_batches(noise, "train", 7, 5, first=2, last=5))) == 3


def test_the_order_is_the_one_that_older_runs_were_trained_in(noise):
    """A run that is resumed goes on with the batches it would have had."""
    assert take(batches.figure_batches(noise, "train", 4, 5, first=100), 2) == [
        [(1, 9), (0, 28), (0, 22), (1, 0)],
        [(0, 24), (0, 5), (1, 2), (0, 8)],
    ]
    triplets = batches.triplet_batches(noise, "train", 3, 0, 4, first=1000)
    last = [[tuple(map(int, w[2, 0, 0, :2])) for w in next(triplets)["figures"]] for _ in range(2)]
    assert last == [[(0, 6), (0, 18), (1, 22)], [(0, 26), (1, 26), (0, 14)]]


def test_pictures_are_tensorflows_bit_for_bit(noise, monkeypatch):
    """Other decoders give other levels, and another training."""
    tf = record_reader.host_tensorflow()
    texture = np.random.default_rng(0).integers(0, 256, (60, 64, 64, 3)).astype(np.uint8)
    frames = [picture_bytes.encode_jpeg(cv2.GaussianBlur(x, (5, 5), 2)) for x in texture]
    figures = [picture_bytes.encode_png(x) for x in texture]

    def example(frame, figure):
        def bytes_of(data):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))

        points = tf.train.Feature(float_list=tf.train.FloatList(value=np.zeros(411)))
        known = {"frame": bytes_of(frame), "figure": bytes_of(figure), "keypoints": points}
        return tf.train.Example(features=tf.train.Features(feature=known)).SerializeToString()

    stored = list(map(example, frames, figures))
    records = Records(stored, bytes, "made")
    monkeypatch.setattr(Dataset, "records", lambda self, split: records)
    decoded = {bytes(data): tf.io.decode_image(data, 3).numpy() for data in frames}
    mine = {w.tobytes(): bytes(data) for w, data in zip(texture, frames, strict=True)}
    (batch,) = batches.triplet_batches(noise, "train", 16, 0, 1, last=1)
    for w, y in zip(*(batch[k].reshape(-1, 64, 64, 3) for k in ("figures", "frames")), strict=True):
        np.testing.assert_array_equal(y, decoded[mine[w.tobytes()]])


def test_tensorflow_sees_no_accelerator(monkeypatch):
    import tensorflow as tf

    asked = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *what: asked.append(what))
    record_reader.host_tensorflow.__wrapped__()
    assert asked == [([], "GPU"), ([], "TPU")]


@pytest.mark.slow
def test_tensorflow_takes_no_device_before_it_is_told_which(noise):
    """Reading records must not start it; once started, it would not let itself be told."""
    program = f"""
import pathlib, sys
from lumiere_jax.inputs.dataset import lectures
dataset = lectures.open_dataset(pathlib.Path({str(noise.folder)!r}))
dataset.sound(dataset.segments[0], 3), dataset.records("train")[0]
import tensorflow as tf
tf.config.set_visible_devices([], "CPU")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_hosts_slices_are_the_batch_in_order(noise):
    whole = take(batches.figure_batches(noise, "train", 6, seed=5), 4)
    parts = [
        take(batches.figure_batches(noise, "train", 6, seed=5, part=(i, 3)), 4) for i in range(3)
    ]
    assert [sum(slices, []) for slices in zip(*parts, strict=True)] == whole


def test_a_batch_may_be_larger_than_the_split(noise):
    (batch,) = take(batches.figure_batches(noise, "val", 10, seed=0), 1)
    assert len(batch) == 10 and len(set(batch)) == 4


def test_figures_come_with_their_own_keypoints_bit_for_bit(noise):
    batch = next(batches.figure_batches(noise, "train", 8, seed=0))
    assert batch["figure"].shape == (8, 64, 64, 3) and batch["figure"].dtype == np.uint8
    for (clip, t), w, points in zip(
        stamps(batch), batch["figure"], batch["keypoints"], strict=True
    ):
        assert (points == 100 * clip + t).all()
        assert (w == (clip, t, 7)).all()


@pytest.mark.parametrize("stride", [1, 4])
def test_triplets_are_neighbours_of_one_segment_at_the_native_rate(noise, stride):
    targets = batches.triplet_targets(noise, "train", stride)
    steps = -(-len(targets) // 5)
    seen = set()
    for batch in itertools.islice(batches.triplet_batches(noise, "train", 5, 0, stride), steps):
        assert batch["frames"].shape == batch["figures"].shape == (5, 3, 64, 64, 3)
        assert batch["keypoints"].shape == (5, 3, 137, 3)
        figures = batch["figures"][:, :, 0, 0]
        clips, times = figures[..., 0].astype(int), figures[..., 1].astype(int)
        assert (clips == clips[:, :1]).all()
        np.testing.assert_array_equal(np.diff(times, axis=1), 1)
        assert times.max() < 30  # the training segment of a clip of 40 frames
        shades = batch["frames"].mean((2, 3, 4))
        np.testing.assert_allclose(shades, 4 * times + clips, atol=2)
        seen |= {(int(c), int(t)) for c, t in zip(clips[:, 2], times[:, 2], strict=True)}
    assert seen == {(clip, t) for clip in (0, 1) for t in range(2, 30, stride)}


def test_a_segment_too_short_for_a_triplet_gives_none(noise):
    # The validation segments are of two frames each.
    assert len(batches.triplet_targets(noise, "val", 1)) == 0
    with pytest.raises(ValueError, match="no items"):
        batches.triplet_batches(noise, "val", 1, 0)


def test_windows_stay_with_their_codes():
    rows = np.arange(30, dtype=np.float32)[:, None].repeat(40, 1)
    steps = np.maximum(np.arange(30)[:, None] + np.arange(-14, 1)[None], 0)
    codes = rows[:, :8]
    seen = []
    for batch in batches.window_batches(rows, steps, codes, 5, seed=1, last=6):
        chex.assert_shape(batch["features"], (5, 15, 40))
        np.testing.assert_array_equal(batch["features"][:, -1, 0], batch["codes"][:, 0])
        past = np.maximum(batch["codes"][:, 0] - 14, 0)
        np.testing.assert_array_equal(batch["features"][:, 0, 0], past)
        seen += batch["codes"][:, 0].tolist()
    assert sorted(seen) == list(range(30)) != seen


def test_an_epoch_has_every_item_once_and_each_has_an_order_of_its_own():
    taken = [batch["index"] for batch in itertools.islice(shuffled_indices(ITEMS, 3, seed=0), 7)]
    epochs = np.concatenate(taken).reshape(3, 7)
    assert all(sorted(epoch) == sorted(ITEMS) for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 3


def test_shuffled_indices_are_a_function_of_seed_and_step():
    whole = [batch["index"] for batch in itertools.islice(shuffled_indices(ITEMS, 3, 1), 8)]
    later = [
        batch["index"] for batch in itertools.islice(shuffled_indices(ITEMS, 3, 1, first=5), 3)
    ]
    np.testing.assert_array_equal(whole[5:], later)
    other = next(shuffled_indices(ITEMS, 3, 2))["index"]
    assert other.dtype == np.int32 and not np.array_equal(whole[0], other)
