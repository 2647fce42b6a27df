"""toy_primitive/ is read by test_new_primitive.py: its tests run in the copy of the tree that gets them."""

collect_ignore = ["toy_primitive"]
