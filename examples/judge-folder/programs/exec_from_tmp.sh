#!/bin/bash
# Brings a program of its own and tries to start it. Leaves with 126 when it is refused.
# expect: nonzero_exit
cp /bin/true /tmp/mine
chmod +x /tmp/mine
/tmp/mine
