"""A storm of keys: weighted random keys, mouse, sizes, pastes and bytes through a pty, on the real application.

One seed draws every event (`events.py`), on one database of people and orders with a local Stripe (`ground.py`).
A life (`lives.py`) is one process from its start to its end, as one of the four roles; after every so many events the
application has to answer keys, and what it sent, its memory and its database are looked at. A life that breaks is lived
again with fewer and fewer of its events, on its own database, until none can be left out.
"""
