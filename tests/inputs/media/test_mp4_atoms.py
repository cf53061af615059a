"""An index that FFmpeg would make of a few bytes is seen wherever its tables lie."""

from fractions import Fraction

import av
import numpy as np
import pytest
from torture import bombs
from torture.bombs import box, numbers

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.media import containers, mp4_atoms

MANY = 60_000_000
HEADER = box(b"hdlr", bytes(24))
HIDDEN = {
    "where it belongs": {},
    **{
        name.decode(): {"wrap": lambda table, name=name: box(name, table)}
        for name in (b"dinf", b"tref", b"wave", b"ilst", b"zzzz")
    },
    "sinf": {"wrap": lambda table: box(b"sinf", box(b"schi", table))},
    "meta": {"wrap": lambda table: box(b"meta", bytes(4), HEADER, table)},
    "hoov": {"moov": b"hoov"},
    "free": {"moov": b"free"},
}


def refused(path):
    with path.open("rb") as file:
        return mp4_atoms.promises_too_much(file)


@pytest.mark.parametrize("where", HIDDEN)
def test_a_table_is_found_wherever_it_lies(tmp_path, where):
    path = tmp_path / "a.mp4"
    path.write_bytes(bombs.index(9, **HIDDEN[where]))
    assert not refused(path)
    path.write_bytes(bombs.index(MANY, **HIDDEN[where]))
    with pytest.raises(UserError, match=r"a\.mp4: this is not a media file"):
        with containers.open_media(path):
            pass


@pytest.mark.parametrize(
    "more",
    [
        box(b"elst", numbers(0, 0), numbers(9, 0, 1 << 16) * 1_000_000),
        box(b"ctts", numbers(0, 1, MANY, 5)),
        box(b"stsc", numbers(0, 1, 1, 2**31 - 1, 1)),
        box(b"iinf", numbers(1 << 24, MANY)),
        box(b"saiz", numbers(0), b"\x09", numbers(MANY)),
        box(b"sbgp", numbers(0), b"sync", numbers(1, MANY, 1)),
        box(b"sgpd", numbers(1 << 24), b"sync", numbers(1, MANY)),
        box(b"traf", box(b"trun", numbers(0, MANY))),
        box(b"trak") * 500 + box(b"moof") * 4500,
        box(b"free") * 70_000,
        box(b"cmov", box(b"dcom", b"zlib")),
    ],
    ids=lambda more: more[4:8].decode(),
)
def test_what_is_repeated_is_counted(tmp_path, more):
    path = tmp_path / "a.mp4"
    path.write_bytes(bombs.index(9, more=more))
    assert refused(path)


def test_an_index_of_fragments_leads_to_none_that_are_hidden(tmp_path):
    fragment = box(b"moof", box(b"traf", box(b"trun", numbers(0, 9))))
    path = tmp_path / "a.mp4"
    for first, hidden in ((0, False), (len(fragment) + 8, True), (1 << 20, False)):
        sizes = box(b"sidx", numbers(0, 1, 16_000, 0, first, 1, 9, 9, 0))
        path.write_bytes(bombs.index(9) + sizes + fragment + box(b"mdat", fragment))
        assert refused(path) == hidden


def test_minutes_of_plain_sound_are_no_promise(tmp_path):
    """A sample a byte, of which FFmpeg indexes chunks."""
    count = 5_000_000
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_u8", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, count), np.uint8), "u8", "mono")
        frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
        container.mux(stream.encode(frame))
    assert not refused(path)
