"""What the scripts are given: a record of consent."""

import pytest


@pytest.fixture
def consent(tmp_path):
    """A file of consent."""
    path = tmp_path / "consent.toml"
    path.write_text('who = "Ada"\nwhen = 2026-01-31\npurpose = "tests"\n')
    return path
