"""The ways money comes in."""
