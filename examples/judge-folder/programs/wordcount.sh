#!/bin/bash
# The ten commonest words of the licences that the system carries: an honest pipeline.
# expect: ok
set -euo pipefail
cat /usr/share/common-licenses/{GPL-3,Artistic} | tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | sort | uniq -c | sort -rn | sed -n 1,10p
