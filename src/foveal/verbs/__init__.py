"""What a user does: look, plan, train, evaluate, predict, demo, fit. One file per verb."""
