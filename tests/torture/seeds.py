"""Small whole files of every kind that is read; a fuzz begins with them. Each seed is a folder."""

import base64
import importlib.util
import json
import shutil
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import cv2
import numpy as np
import soundfile
from av.video.reformatter import ColorTrc
from PIL import Image, ImageCms
from torture import bombs

TESTS = Path(__file__).parents[1]
ROWS, COLS = 64, 80
VIDEOS = {
    "mp4": ("libx264", "yuv420p", "aac"),
    "mov": ("mpeg4", "yuv420p", "pcm_s16le"),
    "3gp": ("h263", "yuv420p", "aac"),
    "mkv": ("libx264", "yuv420p", "libopus"),
    "webm": ("libvpx", "yuv420p", "libopus"),
    "avi": ("mpeg4", "yuv420p", "libmp3lame"),
    "mpg": ("mpeg2video", "yuv420p", "mp2"),
    "ts": ("libx264", "yuv420p", "aac"),
    "flv": ("flv", "yuv420p", "libmp3lame"),
    "asf": ("wmv2", "yuv420p", "libmp3lame"),
    "nut": ("ffv1", "yuv420p", "flac"),
    "mxf": ("mpeg2video", "yuv422p", "pcm_s16le"),
    "10bit.mov": ("prores_ks", "yuv422p10le", "pcm_s16le"),
    "grey.mkv": ("ffv1", "gray16le", "flac"),
    "bgr4.nut": ("rawvideo", "bgr4", "flac"),
    "hlg.mkv": ("ffv1", "yuv420p10le", "flac"),
    "woven.mpg": ("mpeg2video", "yuv420p", "mp2"),
}
SOUNDS = {
    **{f"{codec}.wav": codec for codec in ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le")},
    **{f"{codec}.wav": codec for codec in ("pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw")},
    **{f"{codec}.wav": codec for codec in ("adpcm_ms", "adpcm_ima_wav")},
    **{"a.flac": "flac", "a.mp3": "libmp3lame", "a.ogg": "libopus", "a.aac": "aac"},
    **{"a.m4a": "aac", "a.aiff": "pcm_s16be", "a.au": "pcm_s16be", "a.caf": "pcm_s16le"},
    **{"a.w64": "pcm_s16le", "a.wv": "wavpack", "a.tta": "tta", "a.ac3": "ac3", "a.mka": "flac"},
}
CLIPS = {name: Path(f"{name}.mp4") for name in "abc"}
CONSENT = 'who = "Ada"\nwhen = 2026-01-31\npurpose = "tests"\nnumber = 1.5\n[more]\nlist = [1, 2]\n'


def load(path: Path) -> ModuleType:
    """A module of the tests' by its file."""
    spec = importlib.util.spec_from_file_location(f"seeds_{path.parent.name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def videos(folder: Path) -> None:
    """Footage of a second in every container, and an index that promises too much. It comes last:
    the first seed has to be read whole."""
    for suffix, codecs in VIDEOS.items():
        (folder / suffix).mkdir()
        _film(folder / suffix / f"clip.{suffix}", *codecs)
    (folder / "zz").mkdir()
    bomb = bombs.index(60_000_000, lambda table: bombs.box(b"dinf", table))
    (folder / "zz" / "clip.mp4").write_bytes(bomb)


def _film(path: Path, codec: str, pix_fmt: str, sound: str, frames: int = 12) -> None:
    rate, size = (25, (720, 576)) if path.suffix == ".mxf" else (25, (176, 144))
    with av.open(str(path), "w") as container:
        fields = {"flags": "+ilme+ildct"} if "woven" in path.name else {}
        picture = container.add_stream(codec, rate=rate, options=fields)
        picture.width, picture.height = size
        if "hlg" in path.name:
            picture.codec_context.color_trc = ColorTrc.ARIB_STD_B67
        picture.pix_fmt = pix_fmt
        hertz = 48_000
        audio = container.add_stream(sound, rate=hertz, layout="mono")
        packets = []
        for t in range(frames):
            grey = np.full((size[1], size[0], 3), 20 * t, np.uint8)
            packets += picture.encode(av.VideoFrame.from_ndarray(grey, "rgb24"))
        packets += picture.encode(None) + list(_spoken(audio, hertz, frames * hertz // rate))
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)


def _spoken(stream, rate: int, count: int):
    """Packets of a tone."""
    wave = (8000 * np.sin(np.arange(count) / 20)).astype(np.int16)
    for start in range(0, count, 960):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 960], "s16", "mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start
        yield from stream.encode(frame)
    yield from stream.encode(None)


def sounds(folder: Path) -> None:
    """Narrations of a fifth of a second in every format."""
    for name, codec in SOUNDS.items():
        seed = folder / name
        seed.mkdir()
        with av.open(str(seed / name), "w") as container:
            stream = container.add_stream(codec, rate=48_000, layout="mono")
            for packet in _spoken(stream, 48_000, 9600):
                container.mux(packet)
    (folder / "24.flac").mkdir()
    soundfile.write(folder / "24.flac" / "a.flac", np.zeros((999, 2)), 44_100, "PCM_24")


def _posed(folder: Path, frames: int = 2) -> tuple[Path, Path]:
    """A new seed with a clip of a few frames, and the folder for its poses."""
    (folder / "poses").mkdir(parents=True)
    _film(folder / "clip.nut", "ffv1", "yuv420p", "flac", frames)
    return folder / "clip.nut", folder / "poses"


def openpose(folder: Path) -> None:
    """Two frames of OpenPose's JSON."""
    _, poses = _posed(folder / "two")
    parts = {"pose": 25, "face": 70, "hand_left": 21, "hand_right": 21}
    for t in range(2):
        person = {f"{name}_keypoints_2d": [9.5, 7, 0.5] * n for name, n in parts.items()}
        text = json.dumps({"version": 1.3, "people": [{"person_id": [-1], **person}] * 2})
        (poses / f"{t}.json").write_text(text)


def dumps(folder: Path) -> None:
    """DensePose's dumps: labels, packed and compressed, in both layouts of torch.save."""
    from torch_writer import Record, save_legacy, save_zip

    labels = np.arange(48).reshape(8, 6) % 25
    uv = np.full((2, 8, 6), 0.5, np.float32)
    packed = np.concatenate([labels[None], np.full((2, 8, 6), 99)]).astype(np.uint8)
    _, png = cv2.imencode(".png", packed[::-1].transpose(1, 2, 0))
    fields = {
        "": {"labels": labels, "uv": uv},
        "Quantized": {"labels_uv_uint8": packed},
        "Compressed": {"shape_chw": (3, 8, 6), "labels_uv_str": base64.b64encode(png).decode()},
    }
    for kind, state in fields.items():
        result = Record("densepose.structures.chart_result", f"DensePoseChartResult{kind}", state)
        entry = {
            "scores": np.ones(1, np.float32),
            "pred_boxes_XYXY": np.array([[3, 2, 9, 10]], np.float32),
            "pred_densepose": [result],
        }
        content = [{"file_name": f"{t}.png", **entry} for t in range(2)]
        for save in (save_zip, save_legacy):
            _, poses = _posed(folder / f"{kind}{save.__name__}")
            save(poses / "dump.pkl", content)


def iuv_pictures(folder: Path) -> None:
    """Pictures of the older DensePose."""
    _, poses = _posed(folder / "two")
    picture = np.zeros((144, 176, 3), np.uint8)
    picture[20:90, 30:80] = (3, 100, 200)
    for t in range(2):
        cv2.imwrite(str(poses / f"{t}_IUV.png"), picture)
        cv2.imwrite(str(poses / f"{t}_INDS.png"), (picture[..., 0] > 0).astype(np.uint8))


def consents(folder: Path) -> None:
    """A record of consent."""
    (folder / "one").mkdir()
    (folder / "one" / "consent.toml").write_text(CONSENT)


def weights(folder: Path) -> None:
    """VGG-19's first convolution, in every convention and format."""
    import test_weight_files as formats

    writers = {writer.__name__: writer for writer in formats.WRITERS}
    kernel, bias = np.full((64, 3, 3, 3), 0.1, np.float32), np.zeros(64, np.float32)
    keras = kernel.transpose(2, 3, 1, 0).copy()
    for name, save in writers.items():
        for convention, arrays in {
            "torchvision": {"features.0.weight": kernel, "features.0.bias": bias},
            "keras": {"block1_conv1/kernel": keras, "block1_conv1/bias": bias},
        }.items():
            seed = folder / f"{name}-{convention}"
            seed.mkdir()
            save(seed / "weights", OrderedDict(arrays))


def workdirs(folder: Path) -> None:
    """What a workdir says of itself, and its logs."""
    from lumiere_jax.audio.features import FILTERS
    from lumiere_jax.systems import registry
    from lumiere_jax.systems.contract import Run
    from lumiere_jax.workflows.workdir import write_run

    zeros = np.zeros(FILTERS, np.float32)
    consent = {"who": "Ada", "when": "2026-01-31", "purpose": "tests"}
    for system in map(registry.get, registry.ENTRIES):
        seed = folder / system.name
        seed.mkdir()
        known = {"size": 128, "fps": Fraction(30), "drawn_seed": None, "config": system.config()}
        known |= {"geometry": system.geometry, "columns": system.columns}
        known |= {"figure": system.geometry.scheme or "openpose", "consent": consent}
        write_run(seed, Run(mean=zeros, std=zeros + 1, **known))
        lines = [{"step": t, "loss": 0.5 * t, "kl": 3} for t in range(5)]
        (seed / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        said = {"step": 2, "kind": "overfitted", "sentence": "It is."}
        (seed / "warnings.jsonl").write_text(json.dumps(said) + "\n")


def datasets(folder: Path) -> None:
    """A dataset of 40 frames, and one of 40 faces."""
    from lumiere_jax.inputs.dataset.geometry import FACE

    noise = load(TESTS / "inputs" / "conftest.py")
    noise.make(folder / "one", clips=1)
    noise.make(folder / "faces", clips=1, geometry=FACE)
    for place in (folder / "one", folder / "faces"):
        for split in ("train", "val", "test"):
            path = place / "audio" / f"{split}-c0.flac"
            soundfile.write(path, np.zeros(16_000), 16_000, "PCM_16")
        shutil.rmtree(place / "clips")


def tables(folder: Path) -> None:
    """A table of three clips."""
    (folder / "one").mkdir()
    lines = ["clip,speaker,split", 'a.mp4,"Ada ""A"", 1",train', "b,Bob,val", "c,Cleo,test"]
    (folder / "one" / "clips.csv").write_text("\n".join(lines) + "\n")


def stills(folder: Path) -> None:
    """A picture of an aligned face's shape and a larger one, in both formats; one that is clear and
    turned, one of inks, one of 16 bits and a palette, with a profile where they can have one."""
    random = np.random.default_rng(0)
    for rows, cols in ((128, 96), (301, 200)):
        picture = random.integers(0, 256, (rows, cols, 3), np.uint8)
        for suffix in ("png", "jpg"):
            seed = folder / f"{rows}-{suffix}"
            seed.mkdir()
            cv2.imwrite(str(seed / f"face.{suffix}"), picture)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = Image.fromarray(random.integers(0, 256, (40, 50, 4), np.uint8))
    deep = Image.fromarray(random.integers(0, 65536, (40, 50)).astype(np.uint16))
    kinds = {"clear.png": clear, "inks.jpg": clear.convert("RGB").convert("CMYK"), "deep.png": deep}
    for name, image in {**kinds, "few.png": clear.quantize(16)}.items():
        seed = folder / name.replace(".", "-")
        seed.mkdir()
        image.save(seed / name, exif=exif, icc_profile=profile)


def measures(folder: Path) -> None:
    """Transcripts, and vectors of a still and two frames."""
    seed = folder / "one"
    seed.mkdir()
    (seed / "said.txt").write_text("bin blue at f two now\nlay red with p nine\n")
    (seed / "read.txt").write_text("bin blue at f two now\nlay red by p nine\n")
    np.savez(seed / "vectors.npz", still=np.ones(4, "f4"), frames=np.eye(4, dtype="f4")[:2])


def checkpoints(folder: Path) -> None:
    """A stage of a few numbers, saved."""
    import jax

    from lumiere_jax.training import checkpoint

    stage = load(TESTS / "training" / "conftest.py").line(3)
    place = folder / "one" / "line"
    with checkpoint.open_checkpoints(place) as manager:
        checkpoint.save(manager, stage.init(jax.random.key(0)), {"needs": {"vae": 3}})
