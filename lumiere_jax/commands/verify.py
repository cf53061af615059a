"""Checks a video's signs of synthesis: its metadata, pixels and Content Credentials."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from tqdm import tqdm

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.media.containers import ENTERED, Track, decoded, decoded_from, open_track
from lumiere_jax.inputs.media.picture_bytes import LARGEST
from lumiere_jax.inputs.media.upright_pictures import pixel_aspect, upright
from lumiere_jax.outputs.credentials import INSTALL, c2pa, read_claim
from lumiere_jax.outputs.mark import ENOUGH, luminance, strength
from lumiere_jax.outputs.video import read_record

# The mark is static, so a sample of a long video (over `SHORT` seconds) suffices: from each of
# `PLACES` places, `EACH` pictures, `APART` frames apart.
PLACES, EACH, APART = 12, 12, 4
SHORT = 20
# Seconds before a progress bar appears.
PATIENCE = 3
# Most characters of a value that are printed.
SHOWN = 200


def verify(path: Path) -> bool:
    """Prints a video's record, mark and Content Credentials.

    Returns:
      Whether any of them says that the video is synthetic.

    Raises:
      UserError: the file is no media file, or has no picture.
    """
    found = find_mark(path)
    try:
        record = read_record(path)
    except UserError:
        record = None
    claim = read_claim(path) if c2pa() else None

    if record is None:
        print("metadata: no record of what made it")
    else:
        said = "synthetic, as it says itself" if record.get("synthetic") is True else "a record"
        print(f"metadata: {said}")
        for name, value in itertools.islice(record.items(), 50):
            print(f"  {_shown(name)}: {_shown(value)}")
    if found is None:
        print("pixels: cannot be decoded")
    elif found >= ENOUGH:
        print(
            f"pixels: marked as synthetic by lumiere_jax ({found:.1f} where {ENOUGH:g} is enough)"
        )
    else:
        print(f"pixels: no mark of lumiere_jax found ({found:.1f} where {ENOUGH:g} is enough)")
    if c2pa() is None:
        print(f"Content Credentials: not looked at, c2pa-python is not installed ({INSTALL})")
    elif claim is None:
        print("Content Credentials: none")
    else:
        made = ", made by a trained algorithm" if claim.synthetic else ""
        why = f" ({_shown(claim.reason)})" if claim.reason else ""
        print(f"Content Credentials: {claim.state}{why}, signed by {_shown(claim.signer)}{made}")
    return (
        (record is not None and record.get("synthetic") is True)
        or (found is not None and found >= ENOUGH)
        or (claim is not None and claim.synthetic and claim.state != "invalid")
    )


def find_mark(path: Path) -> float | None:
    """Returns the `strength` of a video's mark; None where no picture can be decoded."""
    bar = tqdm(
        _sampled(path), "looking", PLACES * EACH, unit="frame", delay=PATIENCE, dynamic_ncols=True
    )
    pictures = iter(bar)
    first = next(pictures, None)
    return None if first is None else strength(itertools.chain([first], pictures))


def _sampled(path: Path) -> Iterator[np.ndarray]:
    """Yields luminances from the whole video, or from its beginning where seeking fails."""
    with open_track(path, "video") as track:
        container = track.container
        begin = Fraction(container.start_time or 0, av.time_base)
        length = Fraction(container.duration or 0, av.time_base)
        if length > SHORT and ENTERED & set(container.format.name.split(",")):
            seen = 0
            for place in range(PLACES):
                frames = decoded_from(track, begin + length * place / PLACES)
                for grey in _luminances(track, frames or iter(()), EACH):
                    seen += 1
                    yield grey
            if seen:
                return
    with open_track(path, "video") as track:
        yield from _luminances(track, decoded(track), PLACES * EACH)


def _luminances(track: Track, frames: Iterator[av.VideoFrame], count: int) -> Iterator[np.ndarray]:
    aspect = pixel_aspect(track)
    for frame in itertools.islice(frames, 0, count * APART, APART):
        if max(frame.width * aspect, frame.height) <= LARGEST:
            with contextlib.suppress(ValueError):  # a format that cannot be converted
                yield luminance(upright(frame, aspect))


def _shown(value: Any) -> str:
    """Formats a value on one line, shortened, without unprintable characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    cut = text[:SHOWN] + ("…" if len(text) > SHOWN else "")
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in cut)
