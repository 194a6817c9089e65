#!/bin/bash
# Writes without end.
# expect: output_limit
exec yes "all work and no play makes a dull judge"
