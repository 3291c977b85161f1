"""What a model makes of the same samples moved, turned, scaled and spoiled."""
