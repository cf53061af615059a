import itertools

import chex
import numpy as np
import pytest

from lumiere_jax.inputs import pipeline


def stamps(batch):
    """(clip, frame) of each figure."""
    return [tuple(int(x) for x in w[0, 0, :2]) for w in batch["figure"]]


def take(batches, count):
    return [stamps(batch) for batch in itertools.islice(batches, count)]


def test_every_item_comes_once_an_epoch_in_another_order_each(noise):
    drawn = sum(take(pipeline.figure_batches(noise, "train", 6, seed=0), 20), [])
    first, second = drawn[:60], drawn[60:]
    assert len(set(first)) == len(set(second)) == 60
    assert first != sorted(first) and first != second


def test_batches_are_a_function_of_seed_and_step(noise):
    whole = take(pipeline.figure_batches(noise, "train", 7, seed=5), 12)
    again = take(pipeline.figure_batches(noise, "train", 7, seed=5, first=4), 8)
    assert again == whole[4:]
    assert take(pipeline.figure_batches(noise, "train", 7, seed=6), 12) != whole
    assert len(list(pipeline.figure_batches(noise, "train", 7, 5, first=2, last=5))) == 3


def test_a_batch_may_be_larger_than_the_split(noise):
    (batch,) = take(pipeline.figure_batches(noise, "val", 10, seed=0), 1)
    assert len(batch) == 10 and len(set(batch)) == 4


def test_figures_come_with_their_own_keypoints_bit_for_bit(noise):
    batch = next(pipeline.figure_batches(noise, "train", 8, seed=0))
    assert batch["figure"].shape == (8, 64, 64, 3) and batch["figure"].dtype == np.uint8
    for (clip, t), w, points in zip(
        stamps(batch), batch["figure"], batch["keypoints"], strict=True
    ):
        assert (points == 100 * clip + t).all()
        assert (w == (clip, t, 7)).all()


@pytest.mark.parametrize("stride", [1, 4])
def test_triplets_are_neighbours_of_one_segment_at_the_native_rate(noise, stride):
    targets = pipeline.triplet_targets(noise, "train", stride)
    steps = -(-len(targets) // 5)
    seen = set()
    for batch in itertools.islice(pipeline.triplet_batches(noise, "train", 5, 0, stride), steps):
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
    assert len(pipeline.triplet_targets(noise, "val", 1)) == 0
    with pytest.raises(ValueError, match="no items"):
        pipeline.triplet_batches(noise, "val", 1, 0)


def test_windows_stay_with_their_codes():
    rows = np.arange(30, dtype=np.float32)[:, None].repeat(40, 1)
    steps = np.maximum(np.arange(30)[:, None] + np.arange(-14, 1)[None], 0)
    codes = rows[:, :8]
    seen = []
    for batch in pipeline.window_batches(rows, steps, codes, 5, seed=1, last=6):
        chex.assert_shape(batch["features"], (5, 15, 40))
        np.testing.assert_array_equal(batch["features"][:, -1, 0], batch["codes"][:, 0])
        past = np.maximum(batch["codes"][:, 0] - 14, 0)
        np.testing.assert_array_equal(batch["features"][:, 0, 0], past)
        seen += batch["codes"][:, 0].tolist()
    assert sorted(seen) == list(range(30)) != seen
