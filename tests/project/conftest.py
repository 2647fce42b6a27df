"""toy_primitive/ holds tests of its own, which test_new_primitive.py runs in a copy of the tree."""

collect_ignore = ["toy_primitive"]
