"""Neighbours: whether they are heard, what their links cost, and which are damped."""
