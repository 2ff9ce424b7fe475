"""Random lives of many orders, by several people at once, on the real rules and the real engine.

One seed draws everything: who does what, whose turn it is, what the provider answers, what the database refuses, who
dies in the middle of a statement, and how the clock goes. The same seed gives the same trace. Every
statement, commit and call of a provider is a turn: another may go on there, or whoever made it may die.

- `scheduler`: actors as greenlets, one of which runs at a time.
- `engine`: SQLite on a file, each actor on a connection of its own, and what goes wrong there.
- `line`: Stripe's library, and the test provider behind it, without a network between.
- `people`: what actors do.
- `world`: one seed: first everything may fail; then nothing fails any more, and all must settle.
- `invariants`: what must hold after every commit, and at the end.
- `bugs/`: patches, each of which plants one bug that a few seeds must catch (`planted`).

`./run simulate` runs it; docs/reliability.md says what was found.
"""
