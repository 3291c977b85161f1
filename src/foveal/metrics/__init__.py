"""Scores, intervals and calibration in plain numpy; a task picks those that judge it."""
