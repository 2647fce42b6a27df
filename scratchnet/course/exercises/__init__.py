"""What a reader fills in, one file a lesson; `scratchnet check NN` copies it to the reader and grades it there."""
