"""A folder of results is replaced as a whole."""

import pathlib
import shutil

import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.runtime.output_folders import built_aside


@pytest.fixture
def report(tmp_path):
    """A folder with an older report, which is to be replaced."""
    out = tmp_path / "report"
    out.mkdir()
    (out / "metrics.json").write_text("older")
    return out


def test_a_result_comes_whole_and_an_older_one_stays_until_then(report, monkeypatch):
    with pytest.raises(ZeroDivisionError), built_aside(report, "metrics.json") as folder:
        (folder / "metrics.json").write_text("newer")
        _ = 1 / 0
    assert (report / "metrics.json").read_text() == "older"

    replace = pathlib.Path.replace

    def stopped(self, target):
        if self.name == ".report.partial":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(pathlib.Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt), built_aside(report, "metrics.json") as folder:
        (folder / "metrics.json").write_text("newer")
    assert (report / "metrics.json").read_text() == "older"
    monkeypatch.undo()

    # Runs were killed after the two renames, and between them.
    shutil.copytree(report, report.with_name(".report.old"))
    with built_aside(report, "metrics.json") as folder:
        (folder / "metrics.json").write_text("older")
    report.rename(report.with_name(".report.old"))
    with built_aside(report, "metrics.json") as folder:
        assert (report / "metrics.json").read_text() == "older"
        (folder / "metrics.json").write_text("newer")
    assert [path.name for path in report.parent.iterdir()] == ["report"]
    assert (report / "metrics.json").read_text() == "newer"


def test_the_current_folder_cannot_be_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--out=. cannot be replaced as a whole"):
        with built_aside(pathlib.Path("."), "metrics.json"):
            pytest.fail("the work has begun")
    assert not list(tmp_path.iterdir())


def test_an_old_report_stays_until_the_new_one_is_whole(tmp_path):
    out = tmp_path / "report"
    for text in ("first", "second"):
        with built_aside(out, "metrics.json") as folder:
            (folder / "metrics.json").write_text(text)
    with pytest.raises(RuntimeError), built_aside(out, "metrics.json") as folder:
        (folder / "metrics.json").write_text("half")
        raise RuntimeError
    assert (out / "metrics.json").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_place_that_is_no_report_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    file = tmp_path / "file"
    file.write_text("")
    for out, message in (
        (tmp_path / "thesis", "holds other files"),
        (file, "is a file"),
        (file / "report", "cannot be written"),
    ):
        with (
            pytest.raises(UserError, match=f"--out={out} {message}"),
            built_aside(out, "metrics.json"),
        ):
            pytest.fail("nothing may be measured for a report that cannot be written")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
