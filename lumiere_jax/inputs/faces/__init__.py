"""Face finding in stills, alignment to one place and size, and pasting back.

Imports `poses` and `footage`; clips, the drawn lecturer and commands import it.
"""
