"""Mutation testing: one small fault at a time in a copy of the sources, and whether the tests notice it.

python -m tests.mutants --changed        what differs from main: minutes
python -m tests.mutants --count 400      drawn over everything in scope: long, goes on where it was stopped
python -m tests.mutants --by_hand        the hand-written mutants only
"""
