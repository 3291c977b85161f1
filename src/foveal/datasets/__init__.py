"""From a folder, an archive or arrays to samples, and from samples to batches."""
