"""Sweeps: every cell of a grid is a command of its own, with a folder of its own."""
