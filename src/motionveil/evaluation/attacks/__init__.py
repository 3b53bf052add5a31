"""Kinds of attacks, one a file; every class of `Attack` in them is found by the registry."""
