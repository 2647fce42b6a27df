"""Why a wrong call is wrong: one file per primitive, one function per user-level function, with the same arguments.

A user-level function tests with one cheap condition whether a call fits, and comes here if it does not, or if a kernel has met
an index out of range. Each function here raises torch's exception type for the first thing that is wrong, with a message that
names the function, the argument, what it got, what it needs and the likely fix. It returns if nothing is wrong: the call is
then a rare one that torch takes as well.
"""
