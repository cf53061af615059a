"""tensorboardX without PyTorch, which it imports where it is there: 2 s and 0.4 GiB, not ours."""

import sys

sys.modules["torch"] = None  # pyright: ignore[reportArgumentType]
import tensorboardX  # noqa: E402, F401

del sys.modules["torch"]  # others take what is there for a module
