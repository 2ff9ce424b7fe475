"""Hostile text in every field that comes from outside, on every screen, through a pty.

`strings.py`: the Big List of Naughty Strings, where it was fetched (`fetch.py`), and generated escapes; `ground.py`: a
database whose every text is one of them; `walk.py`: the screens, page by page; `./run hostile` is all of it.
"""
