"""Training: the adversarial game, and validation with fresh networks."""
