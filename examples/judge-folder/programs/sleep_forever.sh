#!/bin/bash
# Waits for something that never comes.
# expect: wall_limit
# options: --wall 3s
trap '' TERM INT HUP
while true; do
    sleep 3600
done
