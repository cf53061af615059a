"""What both sides of the benchmark must have in common before anything is timed."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: make torch")


@pytest.fixture
def deviation(script, monkeypatch, tmp_path):
    """The deviation of a step whose metrics are `found` from one that gave `wanted`."""
    module = script("twin")

    def between(found, wanted):
        side = SimpleNamespace(
            arrays=lambda case: {},
            networks=lambda case: {},
            train=lambda twin: lambda: {name: torch.tensor(x) for name, x in found.items()},
        )
        monkeypatch.setattr(module.systems, "module_of", lambda case, name: side)
        path = tmp_path / "0.npz"
        np.savez(path, **{f"expected/{name}": x for name, x in wanted.items()})
        case = module.Case(name="vae", kind="train", dtype="float32", size=128, batch=1)
        return module.deviation(case, False, path)

    return between


def test_the_largest_of_all_metrics_counts(deviation):
    assert deviation({"loss": 1.0, "kl": 2.2}, {"loss": 1.0, "kl": 2.0}) == pytest.approx(0.1)
    assert np.isnan(deviation({"loss": 1.0, "kl": np.nan}, {"loss": 1.0, "kl": 2.0}))


@pytest.mark.parametrize("found, wanted", [(["loss"], ["loss", "kl"]), (["loss", "kl"], ["loss"])])
def test_a_metric_of_one_side_alone_is_noticed(deviation, found, wanted):
    with pytest.raises(RuntimeError, match="vae train: one side alone has kl"):
        deviation(dict.fromkeys(found, 1.0), dict.fromkeys(wanted, 1.0))
