"""What every codec has to hold, as checks; `diffc.testing` is the way in."""
