"""Systems: ways of filling in the chain from sound to frames. `registry.py` lists them."""
