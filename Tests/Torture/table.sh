# What was injected and found, fault by fault.

# Adds what a part says at its end: one JSON object, in a line. The part may have more than was asked for. Answers 1 when
# it says nothing of a fault that was asked for.
note() {
    local fault='[{]"name":"([^"]*)","injected":([0-9]*),"lost":([0-9]*),"duplicated":([0-9]*),"findings":([0-9]*)[}]'
    grep -oE "$fault" "$1" | sed -E "s/$fault/\1 \2 \3 \4 \5/" |
        awk -v only="$only" 'only == "" || $1 == only { print; n++ } END { exit n == 0 }' >>"$work/faults"
}

# A number that a part says besides, 0 if it does not.
told() {
    local number
    number=$(sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$2")
    echo "${number:-0}"
}

# The counts of each fault, in the order in which they were first told.
sums() {
    awk '!($1 in lost) { names[++n] = $1 }
        { injected[$1] += $2; lost[$1] += $3; twice[$1] += $4; found[$1] += $5 }
        END { for (i = 1; i <= n; i++) { f = names[i]; print f, injected[f], lost[f], twice[f], found[f] } }' \
        "$work/faults"
}

finish() {
    local bad
    [ -s "$work/faults" ] || [ -z "$only" ] || wrong "there is no fault called '$only', or nothing of it was told"
    if [ -n "$json" ]; then
        sums | awk -v seeds="$seeds" -v kills="$kills" '
            BEGIN { printf "{\"seeds\":%d,\"kills\":%d,\"faults\":[", seeds, kills }
            { printf "%s{\"name\":\"%s\",\"injected\":%d,\"lost\":%d,\"duplicated\":%d,\"findings\":%d}", \
                (NR > 1 ? "," : ""), $1, $2, $3, $4, $5 }
            END { print "]}" }' >&3
    fi
    echo
    { echo "fault injected lost duplicated other-findings" && sums; } | column -t -R 2,3,4,5
    echo "$seeds seeds, $kills kills, $((SECONDS / 60)) min $((SECONDS % 60)) s"
    bad=$(sums | awk '$2 == 0 || $3 + $4 + $5 > 0 { print $1 }' | paste -sd' ')
    [ -z "$bad" ] && [ -z "$failed" ] || { echo "FAILED: ${bad:-${failed%, }}" >&2 && exit 1; }
    echo "nothing was lost, nothing happened twice"
}
