"""The commands: arguments, exit codes, and how things look in a terminal.

A module per command. What a command does belongs to the rooms below; what a report says belongs to `report`.
"""
