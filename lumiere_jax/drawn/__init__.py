"""The drawn lecturer: a person painted from sound, with a known answer for every frame.

Its narrations are here, too. Imports inputs and figures; workflows import it.
"""
