"""What was published, as data with its sources, and how a result compares with it; no torch."""
