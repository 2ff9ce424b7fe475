"""One file is one screen is one class."""
