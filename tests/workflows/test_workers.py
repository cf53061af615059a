import os

import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.workflows.workers import each


def frames(item, path, tick):
    """Ticks `item` times, and leaves it and the process's number behind."""
    if item < 0:
        raise UserError(f"{item} is no number of frames")
    for _ in range(item):
        tick()
    path.write_text(f"{item} {os.getpid()}")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_and_the_bar_is_full(tmp_path, capsys, workers):
    tasks = [(item, tmp_path / str(item)) for item in (6, 4, 2)]
    each(frames, tasks, 12, workers)
    assert "12/12" in capsys.readouterr().err
    items, processes = zip(*(path.read_text().split() for _, path in tasks), strict=True)
    assert items == ("6", "4", "2")
    assert (str(os.getpid()) in processes) == (workers == 1)


def test_a_mistake_in_one_clip_ends_all_with_its_sentence(tmp_path):
    tasks = [(-1, tmp_path / "a"), (2, tmp_path / "b")]
    with pytest.raises(UserError, match="-1 is no number of frames"):
        each(frames, tasks, 4, 2)
