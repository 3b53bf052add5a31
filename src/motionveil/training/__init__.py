"""Training: adversarial training, recipes and checkpoints."""
