#!/usr/bin/env bash
# Runs the first transfer of the README, word for word, and writes what a new user sees:
#
#     docs/record-tour.sh > docs/tour.txt
#
# HAZEL and HAZELD name the programs, PORT a free port for the mint. What differs from run to run is written the same each
# time: tokens and invoices are cut off, folders, ports and times are those of the README. Lines that say only that
# something takes a while are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
hazel=${HAZEL:-target/release/hazel}
hazeld=${HAZELD:-target/release/hazeld}
port=${PORT:-3339}
folder=$(mktemp -d)
mint=
finish() {
    [ -z "$mint" ] || kill "$mint" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

exec 3< <(exec "$hazeld" dev --log-level warn --listen "127.0.0.1:$port" --data-dir "$folder/mint" \
    --fake-ledger "$folder/lightning.sqlite" --fake-settle-after-ms 1000 2>/dev/null)
mint=$!
read -r listening <&3
[ "$listening" = "listening on http://127.0.0.1:$port" ]

# The shell block under the heading.
tour() {
    awk '/^## /{inside = $0 == "## A first transfer"} inside && /^```/{block = !block; next} inside && block' README.md
}

here() {
    sed -e "s#/tmp/#$folder/#g" -e "s#http://127.0.0.1:3338#http://127.0.0.1:$port#g" -e "s#target/release/hazel#$hazel#g"
}

alike() {
    sed -E -e "s#$folder/#/tmp/#g" -e "s#127\.0\.0\.1:$port#127.0.0.1:3338#g" \
        -e 's/cashuB[A-Za-z0-9_=-]+/cashuB.../g' -e 's/lnbcrt[a-z0-9]+/lnbcrt.../g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}/2026-01-01 12:00/g' -e '/ \([0-9]+ s\)/d'
}

while IFS= read -r line; do
    [ -n "$line" ] || continue
    printf '$ %s\n' "$line"
    case $line in cargo\ build*) continue ;; esac
    eval "$(printf '%s\n' "$line" | here)" 2>&1 </dev/null
done < <(tour) | alike
