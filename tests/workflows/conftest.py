"""What the scripts are given: a record of consent, a narration."""

import numpy as np
import pytest
import soundfile


@pytest.fixture
def consent(tmp_path):
    """A file of consent."""
    path = tmp_path / "consent.toml"
    path.write_text('who = "Ada"\nwhen = 2026-01-31\npurpose = "tests"\n')
    return path


@pytest.fixture
def speech(tmp_path):
    """A narration of a quarter of a second."""
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.sin(np.arange(4000) / 9) / 2, 16_000)
    return path
