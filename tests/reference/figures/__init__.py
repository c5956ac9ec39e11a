"""The figures of `tests/reference/*.json`: for each file a module that makes them with Keras and again in NumPy."""
