"""Kinds of attacks, one per file; every class of `Attack` in them is found by the registry."""
