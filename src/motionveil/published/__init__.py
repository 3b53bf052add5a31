"""What was published, as data with its sources; no torch."""
