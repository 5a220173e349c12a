"""Recorded runs of the same stacks on many tables, and what follows from them.

`record` trains them, `records` reads them, `defaults` chooses the stack with the least regret and
`portfolio` the stacks with which a search starts, each leaving one data set out.
"""
