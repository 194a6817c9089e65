#!/bin/bash
# Pipelines, here documents, process substitution, jobs, traps, arrays, and the common tools.
set -euo pipefail
trap 'echo bye' EXIT
seq 1000 | awk '{ sum += $1 } END { print sum }'
diff <(printf 'a\nb\n') <(printf 'a\nc\n') || echo differs
cat <<END | tr a-z A-Z | rev
here
END
sleep 0.05 & wait $!
list=(three one two)
printf '%s\n' "${list[@]}" | sort | xargs -n1 echo | paste -sd,
mkdir -p a/b && touch a/b/c && find a -type f | sed 's/c$/C/'
tar -czf a.tgz a && tar -tzf a.tgz | wc -l
grep -rc nothing a || true
date -u -d @0 +%F
