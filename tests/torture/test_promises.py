"""Tests that were not run are no promise kept."""

import pytest
from torture import promises

WHOLE = "def test_it():\n    assert True\n"
SKIPPED = "import pytest\n@pytest.mark.skip\ndef test_one():\n    assert True\n"
BROKEN = "def test_one():\n    assert False\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "texts, tries, failures",
    [
        ([WHOLE, SKIPPED], 1, 0),
        ([WHOLE, BROKEN], 2, 1),
        ([SKIPPED], 1, 1),
        (["import there_is_no_such_module"], 1, 1),
        ([None], 1, 1),
    ],
)
def test_only_tests_that_ran_count(monkeypatch, tmp_path, texts, tries, failures):
    files = [tmp_path / f"test_{i}.py" for i in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        if text is not None:
            file.write_text(text)
    monkeypatch.setattr(promises, "PROMISES", {"a promise": files})
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # none is needed; they are slow
    (row,) = promises.torture(tmp_path)
    assert (row.promise, row.tries, row.failures) == ("a promise", tries, failures), row


def test_the_files_of_every_promise_are_there():
    files = [promises.TESTS / file for of_one in promises.PROMISES.values() for file in of_one]
    assert all(file.is_file() for file in files)
