"""A data set is a manifest: clips, labels and splits; loaders, sampling and the clip cache."""
