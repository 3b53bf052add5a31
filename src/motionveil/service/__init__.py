"""Many cameras from one file: a supervised process each, one page, metrics; needs no torch."""
