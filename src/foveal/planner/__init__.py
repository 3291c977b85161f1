"""From the card, the machine and the time given to the plan: one small pure rule per number."""
