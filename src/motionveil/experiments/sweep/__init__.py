"""Sweeps: one command over a grid of values, each run in a folder of its own."""
