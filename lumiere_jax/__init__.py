"""LumièreNet in JAX: a lecture video from a narration."""

__version__ = "0.3.0"
