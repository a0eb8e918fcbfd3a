"""The attack bank: submissions and archives that try to read, write, reach, outlive, end or help themselves to something.

Each attack has an oracle that looks from outside at what has happened, and each oracle is shown to be able to fail: the
same attack gets through where nothing protects. ``python -m tests.attacks`` runs all of them on every box that this
machine has, and writes the table in docs/security.md.
"""
