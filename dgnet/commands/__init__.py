"""The command line: the only place where the front end, the worker and the model meet."""
