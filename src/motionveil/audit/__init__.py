"""The audit: what can still be learned from veiled video."""
