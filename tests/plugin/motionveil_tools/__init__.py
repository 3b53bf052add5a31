"""A network and an attack of another package."""
