"""Sound of files and devices as mono samples: which track is heard, what it holds, and what arrives
live. Imports `media`; footage and commands import it.
"""
