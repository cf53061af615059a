"""torch is no dependency: the files are put together here as torch.save writes them."""

import os
import pickle
import zipfile

import numpy as np
import pytest
from torch_writer import Call, Record, save_legacy, save_zip

from lumiere_jax import torch_files
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.poses import torch_dump


def result(name="DensePoseChartResultWithConfidences", module=None, **fields):
    fields.setdefault("sigma_1", None)
    return Record(module or "densepose.structures.chart_result", name, fields)


def entries():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 25, (7, 5))
    uv = generator.random((2, 7, 5), np.float32)
    return [
        {
            "file_name": "frames/0001.png",
            "scores": np.array([0.9], np.float32),
            "pred_boxes_XYXY": np.array([[3.7, 2.2, 8.9, 9.4]], np.float32),
            "pred_densepose": [result(labels=labels, uv=uv)],
        }
    ]


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_what_was_saved_is_read(tmp_path, save):
    saved = entries()
    save(tmp_path / "dump.pkl", saved)
    (entry,), read = torch_dump.open_dump(tmp_path / "dump.pkl")
    assert entry["file_name"] == "frames/0001.png"
    np.testing.assert_array_equal(read(entry["pred_boxes_XYXY"]), saved[0]["pred_boxes_XYXY"])
    fields = vars(entry["pred_densepose"][0])
    for name in ("labels", "uv"):
        wanted = saved[0]["pred_densepose"][0].state[name]
        np.testing.assert_array_equal(read(fields[name]), wanted)
        assert read(fields[name]).dtype == wanted.dtype


def harm(trace):
    return [
        Call(os.system, (f"touch {trace}",)),
        Call(eval, (f"open({str(trace)!r}, 'w')",)),
        Call(os.mkdir, (str(trace),)),
        [{"file_name": Call(os.system, (f"touch {trace}",))}],
    ]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("save", ["zip", "legacy", "plain"])
def test_a_hostile_pickle_does_nothing_and_is_refused(tmp_path, protocol, which, save):
    trace, path = tmp_path / "trace", tmp_path / "dump.pkl"
    content = harm(trace)[which]
    if save == "plain":
        path.write_bytes(pickle.dumps(content, protocol))
    elif save == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("dump/data.pkl", pickle.dumps(content, protocol))
    else:
        with open(path, "wb") as file:
            for part in (0x1950A86A20F9469CFC6C, 1001, {}):
                pickle.dump(part, file, protocol=2)
            pickle.dump(content, file, protocol=protocol)
    with pytest.raises(UserError, match=r"dump\.pkl.*no DensePose dump needs.*apply_net"):
        torch_dump.open_dump(path)
    assert not trace.exists()


def test_a_class_of_cse_models_is_named(tmp_path):
    name = ("DensePoseEmbeddingPredictorOutput", "densepose.structures.cse")
    save_zip(tmp_path / "dump.pkl", [result(*name)])
    with pytest.raises(UserError, match="CSE"):
        torch_dump.open_dump(tmp_path / "dump.pkl")


def test_a_file_leaves_nothing_behind(tmp_path):
    """A state set on a class or a function that the file was given must not outlast it."""
    for target in (
        b"cdensepose.structures.chart_result\nDensePoseChartResult\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
    ):
        data = b"\x80\x02" + target + b"N}X\x06\x00\x00\x00poisonX\x03\x00\x00\x00yess\x86b."
        with zipfile.ZipFile(tmp_path / "dump.pkl", "w") as archive:
            archive.writestr("dump/data.pkl", data)
        torch_dump.open_dump(tmp_path / "dump.pkl")
        save_zip(tmp_path / "next.pkl", entries())
        content, _ = torch_dump.open_dump(tmp_path / "next.pkl")
        assert not hasattr(content[0]["pred_densepose"][0], "poison")
        assert not hasattr(torch_files._tensor, "poison")
