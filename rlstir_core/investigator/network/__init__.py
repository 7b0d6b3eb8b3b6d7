"""Networks over batches of rows: the encoder and its heads.

What does not belong here: files, labels and training (`pretraining/`).
"""
