"""What can be learned from veiled video: validation, and an audit by attacks of several kinds."""
