# Deaths at named places.

points_file=Sources/LMDB/CrashPoint.swift
point_purchases=10000

# Dies at the n-th visit of a point, and checks. Answers 1 when the run ended without having come there so often.
die_at() {
    local status=0
    what="death at $1" repeat="point $1 $input"
    run_in "$state" env RATCHET_CRASH_AT="$1" || status=$?
    case $status in
    0)
        rm -rf "$state"
        return 1
        ;;
    137) ;;
    *) fail "the run ended with $status and was not killed" ;;
    esac
    count_fault
    check
}

# Counts how often a run of the program visits each of these points: the least of three runs, as no two are the same.
count_visits() {
    local run point count
    for run in 1 2 3; do
        rm -f "$work/visits"
        run_in "$work/counted" env RATCHET_CRASH_LOG="$work/visits" || fail "a run without faults ended with $?"
        rm -rf "$work/counted"
        for point in "$@"; do
            count=$(grep -cx "$point" "$work/visits") || fail "a run never came to $point"
            if [ "$run" = 1 ] || [ "$count" -lt "${visits[$point]}" ]; then visits[$point]=$count; fi
        done
    done
}

# So many of the visits 1 to a number, all different: the first, the last, and one by chance from each part between.
spread() {
    local wanted=$1 most=$2 part low high
    if [ "$wanted" -ge "$most" ]; then
        seq "$most"
    elif [ "$wanted" = 1 ]; then
        echo $((RANDOM % most + 1))
    else
        echo 1
        for ((part = 0; part < wanted - 2; part++)); do
            low=$((2 + part * (most - 2) / (wanted - 2))) high=$((1 + (part + 1) * (most - 2) / (wanted - 2)))
            echo $((low + RANDOM % (high - low + 1)))
        done
        echo "$most"
    fi
}

# Dies at one visit; a run that is over before is run again.
die_surely_at() {
    local tries
    for ((tries = 0; tries < 10; tries++)); do
        if die_at "$1"; then return; fi
    done
    return 1
}

# Each point, or the one of a name, so often.
all_points() {
    local rounds=$1 points point name total=0
    local -a own
    declare -gA visits=()
    points=$(sed -n 's/^ *case .* = "\(.*\)"$/\1/p' "$points_file")
    points=$(grep -x "${2:-.*}" <<<"$points") || fail "no point is called $2"
    for name in orders shop shops compactor; do
        own=()
        for point in $points; do [ "$(program_of "$point")" != "$name" ] || own+=("$point"); done
        [ "${#own[@]}" != 0 ] || continue
        use "$name"
        choose "$point_purchases"
        count_visits "${own[@]}"
        for point in "${own[@]}"; do die_often_at "$point" "$rounds"; done
    done
    use orders
    finished "crash points: $total deaths; all is there, once"
}

# At as many different visits, or else at all of them in runs over one input after the other.
die_often_at() {
    local point=$1 rounds=$2 visit done=0 inputs=0
    local -A places=()
    begin "crash.$point"
    while [ "$done" -lt "$rounds" ]; do
        inputs=$((inputs + 1))
        [ "$inputs" -le $((rounds + 20)) ] || fail "the runs do not come to $point so often"
        choose "$point_purchases" "$inputs"
        for visit in $(spread $((rounds - done)) "${visits[$point]}"); do
            progress "$point: $done of $rounds deaths, the next at visit $visit of ${visits[$point]}"
            if die_surely_at "$point:$visit"; then
                done=$((done + 1)) places[$visit]=1
            fi
        done
    done
    total=$((total + done))
    finished "$point: $done deaths at ${#places[@]} different visits of ${visits[$point]}$(
        [ "$inputs" = 1 ] || echo ", in runs over $inputs inputs"
    )"
}
