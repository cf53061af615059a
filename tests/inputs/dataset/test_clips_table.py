"""Tables of clips: who and which split, and one sentence for everything else."""

from pathlib import Path

import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.clips_table import read_clips

CLIPS = {name: Path(f"talks/{name}.mp4") for name in "abc"}
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
        WHOLE.replace(",", ", "),
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


def test_clips_of_one_name_are_told_apart_by_their_folders(tmp_path):
    named = {f"{s}-talk": Path(f"grid/{s}/talk.mpg") for s in ("s1", "s2", "s3")}
    text = "clip,speaker,split\ns1/talk.mpg,A,train\ns2/talk,B,val\ns3-talk,C,test\n"
    table = read_clips(write(tmp_path, text), named)
    assert table.splits == {"s1-talk": "train", "s2-talk": "val", "s3-talk": "test"}
    with pytest.raises(UserError, match="no clip 'talk.mpg', or several.*write its folder"):
        read_clips(write(tmp_path, text.replace("s1/talk", "talk")), named)


def test_a_speaker_in_two_splits_is_told_of(tmp_path, capsys):
    read_clips(write(tmp_path, WHOLE), CLIPS)
    assert not capsys.readouterr().out
    read_clips(write(tmp_path, WHOLE.replace("Cleo", "Ada")), CLIPS)
    assert "warning: " in (said := capsys.readouterr().out)
    assert "'Ada' is in test and train: what is measured there is a known face" in said
