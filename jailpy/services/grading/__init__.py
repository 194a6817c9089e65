"""Grading: submissions are judged against a problem's test data, each run in a jail. Built on the public API alone."""
