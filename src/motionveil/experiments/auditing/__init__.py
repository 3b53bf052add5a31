"""Auditing an encoder: a plan, its attacks as cells of a sweep, and what they found."""
