"""From typed rows to channels, windows, summary features and tensors."""
