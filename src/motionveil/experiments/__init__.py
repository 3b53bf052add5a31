"""Experiments: what the commands do, as functions."""
