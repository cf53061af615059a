import os

import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.workflows.workers import each


def halves(item, path, tick):
    """Ticks `item` times and leaves the process's number behind."""
    if item < 0:
        raise UserError(f"{item} is no number of frames")
    for _ in range(item):
        tick()
    path.write_text(str(os.getpid()))
    return item // 2


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_the_bar_is_full(tmp_path, capsys, workers):
    tasks = [(item, tmp_path / str(item)) for item in (6, 4, 2)]
    assert each(halves, tasks, 12, workers) == [3, 2, 1]
    assert "12/12" in capsys.readouterr().err
    here = {path.read_text() == str(os.getpid()) for _, path in tasks}
    assert here == {workers == 1}


def test_a_mistake_in_one_clip_ends_all_with_its_sentence(tmp_path):
    tasks = [(-1, tmp_path / "a"), (2, tmp_path / "b")]
    with pytest.raises(UserError, match="-1 is no number of frames"):
        each(halves, tasks, 4, 2)
