"""What the benchmarks find of each system."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def systems(script):
    return script("beside").systems


@pytest.fixture(scope="module")
def cases(systems):
    return systems.modules("cases")


def test_cases_are_found_by_names_that_are_one_systems_alone(systems, cases):
    names = [(name, module) for module in cases.values() for name in module.NAMES]
    assert len({name for name, _ in names}) == len(names)
    for name, module in names:
        assert systems.module_of(name, "cases") is module
    with pytest.raises(LookupError, match="no system has a case 'abacus'"):
        systems.module_of("abacus", "cases")


@pytest.mark.parametrize("system", ["lumierenet", "temporal_gan"])
def test_a_systems_cases_have_its_names_and_arrays(cases, system):
    module = cases[system]
    grid = module.grid([64], [1], ["float32"])
    assert {case.name for case in grid} == {*module.NAMES}
    accelerators = module.telling("float32") + module.more()
    assert {case.name for case in accelerators} | module.SHORT.keys() <= {*module.NAMES}
    assert set(module.compiled()) <= set(module.telling("bfloat16"))
    for case in grid:
        assert all(len(x) for x in module.arrays(case).values())


def test_accelerators_have_the_most_telling_cases_first(script):
    cases, compiled = script("beside").full()
    assert [(c.name, c.kind, c.dtype) for c in (cases[0], cases[10], cases[11])] == [
        ("seqpix2pix", "forward", "bfloat16"),
        ("animator", "streaming", "bfloat16"),
        ("seqpix2pix", "forward", "float32"),
    ]
    assert [(c.name, c.kind, c.batch) for c in compiled] == [
        ("seqpix2pix", "forward", 8),
        ("vae", "train", 8),
        ("seqpix2pix", "train", 1),
    ]
    short, quick = script("beside").short()
    assert len(short) == 5 and [(c.name, c.kind) for c in quick] == [("blstm", "forward")]


def test_pytorch_is_wanted_on_its_own_side_alone(script, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError\n")
    program = (
        "import ours, right, learning, speaking, systems\n"
        "for name in ('ours', 'right', 'learning'): systems.modules(name)\n"
    )
    own = {**os.environ, "PYTHONPATH": f"{tmp_path}:{script('sides').HERE}"}
    subprocess.run([sys.executable, "-c", program], check=True, env=own)
