"""x → a: features of a waveform, computed or learned, and how its sound is judged.

Imports the common modules alone; every later room may import it.
"""
