"""The drawn lecturer: a person painted from sound, with everything about every frame known, and the
narrations that are spoken. Imports inputs and figures; workflows import it.
"""
