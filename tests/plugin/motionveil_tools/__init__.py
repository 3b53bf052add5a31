"""A network, an attack, a data set and a sink of another package."""
