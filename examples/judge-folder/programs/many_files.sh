#!/bin/bash
# Makes empty files until the file system has no room for another name.
# expect: disk_limit
n=0
while true >"file-$n"; do
    n=$((n + 1))
done 2>refusal
echo "refused after $n files"
exit 1
