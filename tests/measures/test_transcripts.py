"""Files of transcripts: line by line, and one sentence for what does not fit."""

import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.measures.transcripts import read_transcripts


@pytest.fixture
def files(tmp_path):
    said, read = tmp_path / "said.txt", tmp_path / "read.txt"
    said.write_text("bin blue at f two now\nlay red with p nine again\n")
    read.write_text("\ufeffbin blue at f two\r\n\r\n", encoding="utf-8")
    return said, read


def test_lines_belong_to_each_other(files):
    said, read = read_transcripts(*files)
    assert said == ["bin blue at f two now", "lay red with p nine again"]
    assert read == ["bin blue at f two", ""]  # a lip reader may see nothing


@pytest.mark.parametrize(
    "said, message",
    [
        (b"bin blue\n", "read.txt has 2 lines and --references=.*said.txt has 1"),
        (b"bin blue\n ... \n", "said.txt, line 2: nothing is said there"),
        (b"\xff\xfe\x00", "said.txt is no text in UTF-8"),
    ],
)
def test_what_does_not_fit_is_one_sentence(files, said, message):
    files[0].write_bytes(said)
    with pytest.raises(UserError, match=message):
        read_transcripts(*files)


def test_files_that_are_not_there_are_one_sentence(files, tmp_path):
    with pytest.raises(UserError, match="none.txt: No such file"):
        read_transcripts(files[0], tmp_path / "none.txt")
    with pytest.raises(UserError, match="is no text.*not a file"):
        read_transcripts(tmp_path, files[1])
    for file in files:
        file.write_text("")
    with pytest.raises(UserError, match="line 1: nothing is said"):
        read_transcripts(*files)
