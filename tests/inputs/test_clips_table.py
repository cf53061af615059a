"""Tables of clips: who and which split, and one sentence for everything else."""

import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.clips_table import read_clips

CLIPS = ["a.mp4", "b.mp4", "c.mp4"]
WHOLE = "clip,speaker,split\na,Ada,train\nb.mp4, Bob ,val\nc,Cleo,test\n"


def write(tmp_path, text):
    path = tmp_path / "clips.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        "\ufeff" + WHOLE.replace("\n", "\r\n"),
        "split,note,clip,speaker\ntrain,x,a,Ada\nval,,b,Bob\ntest,y,c.mp4,Cleo\n",
    ],
)
def test_splits_and_speakers_by_clip(tmp_path, text):
    table = read_clips(write(tmp_path, text), CLIPS)
    assert table.splits == {"a": "train", "b": "val", "c": "test"}
    assert table.speakers == {"a": "Ada", "b": "Bob", "c": "Cleo"}


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no column 'clip'"),
        (b"\xff\xfe\x00", "is no table of clips"),
        (b"clip,speaker,split\n\x00,b,c", "is no table of clips|names no clip"),
        ("clip,speaker\na,Ada\n", "no column 'split'"),
        ("clip,speaker,split\na,Ada\n", "a line has no 'split'"),
        ('clip,speaker,split\n"a,Ada,train\n', "is no table of clips"),
        (WHOLE + "d,Dan,train\n", "line 5: --footage names no clip 'd'"),
        (WHOLE.replace("val", "dev"), "line 3: 'dev' is no split: write one of train, val, test"),
        (WHOLE.replace("Ada", " "), "line 2: it names no speaker"),
        (WHOLE + "a.mp4,Ada,train\n", "line 5: 'a.mp4' is there twice"),
        (WHOLE.replace("c,Cleo,test\n", ""), "has no line for 'c.mp4'"),
        (WHOLE.replace("val", "train"), "gives no clip to the split 'val'"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_sentence(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(UserError, match=message) as raised:
        read_clips(path, CLIPS)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_table_that_is_not_there_or_too_large_is_named(tmp_path):
    with pytest.raises(UserError, match="none.csv: No such file"):
        read_clips(tmp_path / "none.csv", CLIPS)
    with pytest.raises(UserError, match="larger than 16 MB"):
        read_clips(write(tmp_path, b"x" * (2**24 + 1)), CLIPS)
