"""From a network and batches to fitted weights, within the time given, and resumable."""
