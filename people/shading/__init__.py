"""Compiled shading: what color each sample of a picture has, in linear light.

Scratch arrays named `color` (3,) are written in place; records have the dtypes of their owners.
"""
