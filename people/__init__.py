"""Rendered people: pedestrian pictures of persons that never lived, with true composites.

A `World` (`dgnet.people.world`) draws persons, cameras and scenes from a seed and renders any
person's appearance on any other's structure, so that the picture a perfect composite would show is
known. The bodies come from CC0 data (`dgnet.people.assets`); nothing is downloaded and no GPU is
used. Units are decimeters: y up, z towards the front, +x the person's left. See docs/people.md.
"""
