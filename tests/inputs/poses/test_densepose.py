import base64
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.poses import densepose, pose_folder

_spec = importlib.util.spec_from_file_location(
    "torch_files", Path(__file__).with_name("test_torch_dump.py")
)
files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(files)

ROWS, COLS = 40, 60
CLIP = Path("talk.mp4")


@pytest.fixture(autouse=True)
def any_number(monkeypatch):
    monkeypatch.setattr(pose_folder, "check_number", lambda *_: None)


def person(height=20, width=12, part=2):
    labels = np.full((height, width), part)
    labels[0] = 0
    uv = np.stack(np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij"))
    return labels, uv.astype(np.float32)


def entry(name, *people):
    """people: (box, labels, uv)"""
    boxes = np.array([box for box, _, _ in people], np.float32).reshape(-1, 4)
    return {
        "file_name": name,
        "scores": np.ones(len(people), np.float32),
        "pred_boxes_XYXY": boxes,
        "pred_densepose": [files.result(labels=labels, uv=uv) for _, labels, uv in people],
    }


def test_a_result_is_pasted_at_the_truncated_corner_and_clipped():
    labels, uv = person()
    iuv = densepose.paste(labels, uv, (5.9, 7.2, 17.8, 27.1), ROWS, COLS)
    np.testing.assert_array_equal(iuv[7:27, 5:17, 0], labels)
    np.testing.assert_array_equal(iuv[8:27, 5:17, 1], np.rint(255 * uv[0, 1:]))
    np.testing.assert_array_equal(iuv[8:27, 5:17, 2], np.rint(255 * uv[1, 1:]))
    assert not iuv[7].any() and iuv.any(-1).sum() == 19 * 12
    over = densepose.paste(labels, uv, (-4.5, 30.0, 8, 50), ROWS, COLS)
    np.testing.assert_array_equal(over[30:, :8, 0], labels[:10, 4:])
    assert not over[:30].any() and not over[:, 8:].any()
    assert not densepose.paste(labels, uv, (100, 100, 120, 120), ROWS, COLS).any()


def test_the_figure_is_rescaled_and_never_blended():
    iuv = np.zeros((ROWS, COLS, 3), np.uint8)
    iuv[:, :30], iuv[:, 30:] = (24, 10, 20), (2, 30, 40)
    figure = densepose.to_figure(iuv, (10, 0, 40), 64)
    np.testing.assert_array_equal(figure[0, 0], (20, 10, 255))
    np.testing.assert_array_equal(figure[0, -1], (40, 30, 21))
    assert set(np.unique(figure[..., 2])) == {255, 21}


@pytest.mark.parametrize("save", ["save_zip", "save_legacy"])
def test_one_dump_of_many_frames_in_any_order(tmp_path, save):
    frames = [entry(f"x/{i}.png", ((i, 5.0, i + 12.0, 25.0), *person())) for i in range(12)]
    getattr(files, save)(tmp_path / "dump.pkl", frames[::-1])
    found, figure = densepose.open_figures(tmp_path, CLIP, ROWS, COLS)
    assert (found >= 0).all() and len(found) == 12
    for i in (2, 10):
        columns = figure(i, (0, 0, 40), 40).any(-1).any(0)
        np.testing.assert_array_equal(np.flatnonzero(columns), np.arange(i, i + 12))


def test_one_dump_a_frame_and_the_largest_person(tmp_path):
    small, large = person(8, 6, 24), person(20, 12, 15)
    for i in range(3):
        people = [((40, 5, 46, 13), *small), ((5, 5, 17, 25), *large)]
        files.save_zip(tmp_path / f"{i}.pkl", [entry(f"{i}.png", *people[:: (-1) ** i])])
    files.save_zip(tmp_path / "3.pkl", [entry("3.png")])
    found, figure = densepose.open_figures(tmp_path, CLIP, ROWS, COLS)
    np.testing.assert_array_equal(found >= 0, [1, 1, 1, 0])
    for i in range(3):
        assert set(np.unique(figure(i, (0, 0, 40), 40)[..., 2])) == {0, round(15 * 255 / 24)}


def test_quantised_and_compressed_results(tmp_path):
    labels, uv = person()
    packed = np.stack([labels, *np.rint(255 * uv)]).astype(np.uint8)
    ok, png = cv2.imencode(".png", packed.transpose(1, 2, 0)[..., ::-1])
    text = base64.encodebytes(png.tobytes()).decode()
    quantised = files.result("DensePoseChartResultQuantized", labels_uv_uint8=packed)
    compressed = files.result(
        "DensePoseChartResultCompressed", shape_chw=packed.shape, labels_uv_str=text
    )
    older = files.result("DensePoseResult", "densepose.structures", results=[(packed.shape, text)])
    frames = []
    for i, results in enumerate(([quantised], [compressed], older)):
        frames.append(entry(f"{i}.png", ((5, 5, 17, 25), labels, uv)))
        frames[-1]["pred_densepose"] = results
    frames.append(entry("3.png", ((5, 5, 17, 25), labels, uv)))
    files.save_zip(tmp_path / "dump.pkl", frames)
    _, figure = densepose.open_figures(tmp_path, CLIP, ROWS, COLS)
    pictures = [figure(i, (0, 0, 40), 40) for i in range(4)]
    for picture in pictures[:3]:
        np.testing.assert_array_equal(picture, pictures[3])


def test_legacy_pictures_and_their_people(tmp_path):
    for i in range(11):
        iuv = np.zeros((ROWS, COLS, 3), np.uint8)
        index = np.zeros((ROWS, COLS), np.uint8)
        iuv[5:10, 45:50], index[5:10, 45:50] = (23, 1, 2), 1 + i % 2
        iuv[10:30, 5 + i : 20 + i], index[10:30, 5 + i : 20 + i] = (2, 100, 200), 2 - i % 2
        cv2.imwrite(str(tmp_path / f"f{i}_IUV.png"), iuv)  # as the tool does: I in cv2's blue
        cv2.imwrite(str(tmp_path / f"f{i}_INDS.png"), index)
    found, figure = densepose.open_figures(tmp_path, CLIP, ROWS, COLS)
    assert (found >= 0).all()
    picture = figure(10, (0, 0, 40), 40)
    np.testing.assert_array_equal(picture[15, 20], (200, 100, 21))
    assert picture.any(-1).sum() == 20 * 15


def test_what_is_not_densepose_is_refused(tmp_path):
    with pytest.raises(UserError, match="apply_net"):
        densepose.open_figures(tmp_path, CLIP, ROWS, COLS)
    cv2.imwrite(str(tmp_path / "outputres.0001.png"), np.zeros((ROWS, COLS, 3), np.uint8))
    with pytest.raises(UserError, match="show"):
        densepose.open_figures(tmp_path, CLIP, ROWS, COLS)
    cv2.imwrite(str(tmp_path / "a_IUV.png"), np.full((ROWS, COLS, 3), 200, np.uint8))
    _, figure = densepose.open_figures(tmp_path, CLIP, ROWS, COLS)
    with pytest.raises(UserError, match="over 24"):
        figure(0, (0, 0, 40), 40)
    with pytest.raises(UserError, match="60x40.*64x40"):
        densepose.open_figures(tmp_path, CLIP, ROWS, 64)


@pytest.mark.parametrize(
    "change",
    [
        {"pred_densepose": [3]},
        {"pred_densepose": [None]},
        {"pred_boxes_XYXY": np.zeros((1, 3), np.float32)},
        {"pred_boxes_XYXY": np.full((1, 4), np.nan, np.float32)},
        {"pred_boxes_XYXY": "no"},
        {"file_name": 3},
        {"pred_densepose": [files.result(labels=np.full((5, 5), 99), uv=person(5, 5)[1])]},
        {"pred_densepose": [files.result(labels=np.full((5, 5), 1), uv=person(5, 6)[1])]},
        {"pred_densepose": [files.result(labels=3, uv=4)]},
    ],
)
def test_garbled_results_are_named(tmp_path, change):
    frame = entry("0.png", ((5, 5, 17, 25), *person())) | change
    files.save_zip(tmp_path / "bad.pkl", [frame])
    with pytest.raises(UserError, match=r"bad\.pkl"):
        _, figure = densepose.open_figures(tmp_path, CLIP, ROWS, COLS)
        figure(0, (0, 0, 40), 40)
