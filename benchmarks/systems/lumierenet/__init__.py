"""LumièreNet: lectures."""
