import os
from pathlib import Path

import pytest
from names import NAMES

from lumiere_jax.errors import UserError, printable
from lumiere_jax.paths import absolute, expanded, matching, plainly_named, true_name, user_path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, which is the working one too, with a folder `a`."""
    (tmp_path / "a").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("typed, there", NAMES.values(), ids=list(NAMES))
def test_what_is_typed_is_the_place_that_a_shell_would_take(home, typed, there):
    assert user_path("--out", typed).absolute() == home / there


def test_up_leads_out_of_where_a_link_leads(home):
    (home / "far" / "deep").mkdir(parents=True)
    (home / "link").symlink_to(home / "far" / "deep")
    assert absolute("link/../b") == home / "far" / "b"
    assert absolute("link/b") == home / "link" / "b"
    assert absolute("none/../b/.") == home / "b"
    assert absolute(f"//{home}") == home


def test_nobodys_home_is_no_folder_unless_one_has_the_name(home):
    with pytest.raises(UserError, match="--out=~nobodyhere/x: there is no user 'nobodyhere'"):
        user_path("--out", "~nobodyhere/x")
    assert user_path("--out", "./~nobodyhere").absolute() == home / "~nobodyhere"
    (home / "~nobodyhere").mkdir()
    assert user_path("--out", "~nobodyhere").absolute() == home / "~nobodyhere"
    assert expanded("--audio", "~/*.wav") == f"{home}/*.wav"


@pytest.mark.parametrize("name", ["l" * 256, "ö" * 128, "/".join(["l" * 99] * 31)])
def test_a_name_that_no_disk_takes_is_refused(home, name):
    with pytest.raises(UserError, match="--out=.* is too long: names have up to 255 bytes"):
        user_path("--out", name)


@pytest.fixture
def talks(home):
    for name in (
        "Talks [2024]/one.mp4",
        "Talks [2024]/part [1]a.mp4",
        "Talks [2024]/part [1]b.mp4",
        "Talks 2/one.mp4",
        "a*b/one.mp4",
        "aXb/one.mp4",
        os.fsdecode(b"caf\xe9.mp4"),
    ):
        path = home / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return home


@pytest.mark.parametrize(
    "pattern, found",
    [
        ("Talks [2024]/*.mp4", ["one.mp4", "part [1]a.mp4", "part [1]b.mp4"]),
        ("Talks [2024]/part [1]*.mp4", ["part [1]a.mp4", "part [1]b.mp4"]),
        ("Talks [2024]/part [1]a.mp4", ["part [1]a.mp4"]),
        ("Talks [12]/*.mp4", ["one.mp4"]),
        ("./a//../Talks [2024]/one.mp4", ["one.mp4"]),
        ("a*b/*.mp4", ["one.mp4"]),
        ("a?b/*.mp4", ["one.mp4", "one.mp4"]),
        ("[a]*b/*.mp4", ["one.mp4", "one.mp4"]),
        ("caf*.mp4", [os.fsdecode(b"caf\xe9.mp4")]),
        ("Talks [345]/*.mp4", []),
        ("none.mp4", []),
    ],
)
@pytest.mark.parametrize("rooted", [False, True])
def test_a_pattern_names_files_also_in_folders_with_brackets(talks, pattern, found, rooted):
    assert [p.name for p in matching(f"{talks}/{pattern}" if rooted else pattern)] == found


@pytest.mark.parametrize("typed, there", NAMES.values(), ids=list(NAMES))
def test_a_plain_name_is_no_pattern_and_leads_to_the_folder(home, typed, there):
    (home / there).mkdir(parents=True)
    with plainly_named(Path(typed if "~" not in typed else there)) as plain:
        assert not set("[]*?\\") & set(str(plain)) and ".." not in plain.parts
        str(plain).encode()
        (plain / "inside").write_text("here")
        assert true_name(plain / "inside") == home / there / "inside"
    assert (home / there / "inside").read_text() == "here"


def test_a_name_is_printed_on_one_line_in_utf_8():
    assert printable(os.fsdecode(b"caf\xe9 \xff.mp4")) == r"caf\xe9 \xff.mp4"
    assert printable("two\nlines\x1b[0m") == r"two\nlines\x1b[0m"
    assert printable("köln\u3000東京 👩‍🏫") == "köln\u3000東京 👩‍🏫"
