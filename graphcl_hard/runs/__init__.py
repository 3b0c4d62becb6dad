"""One run of the command line: its folder, terminal output, plots, loggers and resume."""
