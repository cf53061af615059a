"""What the scripts do, a module for each thing, and the flags that ask for it.

Imports every other room; nothing but the scripts imports it.
"""
