#!/bin/bash
# Waits for something that never comes.
# expect: wall_limit
trap '' TERM INT HUP
while true; do
    sleep 3600
done
