import itertools

import numpy as np

from lumiere_jax.inputs.batches.shuffled_indices import shuffled_indices

ITEMS = np.arange(10, 17)


def test_an_epoch_has_every_item_once_and_each_has_an_order_of_its_own():
    taken = [batch["index"] for batch in itertools.islice(shuffled_indices(ITEMS, 3, seed=0), 7)]
    epochs = np.concatenate(taken).reshape(3, 7)
    assert all(sorted(epoch) == sorted(ITEMS) for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 3


def test_batches_are_a_function_of_seed_and_step():
    whole = [batch["index"] for batch in itertools.islice(shuffled_indices(ITEMS, 3, 1), 8)]
    later = [
        batch["index"] for batch in itertools.islice(shuffled_indices(ITEMS, 3, 1, first=5), 3)
    ]
    np.testing.assert_array_equal(whole[5:], later)
    other = next(shuffled_indices(ITEMS, 3, 2))["index"]
    assert other.dtype == np.int32 and not np.array_equal(whole[0], other)
