"""x → a: features of a waveform, computed or learned, and the level and band of its sound.

Imports the common modules alone; every later room may import it.
"""
