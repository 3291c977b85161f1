"""How good a run is, how sure that is, and the page that says so."""
