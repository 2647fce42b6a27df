"""Of every exercise the solution, what is looked at, hints, and the mistakes that people make with what to say about them."""
