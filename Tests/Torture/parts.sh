# The parts, and how much of each.

# How long the whole of it takes, in minutes: what --minutes is compared with.
whole=75
seeds=0 kills=0 failed=""

# So much of a whole as the time is for, one at least.
share() {
    local part=$(($1 * ${minutes:-$whole} / whole))
    echo $((part > 0 ? part : 1))
}

# Runs one part, which prints its result as its last line; a part that fails is told at the end.
part() {
    local name=$1 is_whole=1
    shift
    echo "== $name ($((SECONDS / 60)) min so far)"
    "$@" >"$work/result" || is_whole=""
    # One that tells of no fault has not done its work, whatever else it says.
    note "$work/result" || is_whole=""
    [ -n "$is_whole" ] || failed+="$name, "
}

# Whether a fault of this kind is asked for.
wants() { [ -z "$only" ] || [[ "$only" == $1 ]]; }

all_parts() {
    local step=$((whole / ${minutes:-$whole}))
    .ci/install
    simulations
    if wants 'crash.*'; then
        part "crash points" Tests/crash --json points "$(share 20)" ${only:+"${only#crash.}"}
    fi
    if wants kill; then part "kills" Tests/crash --json kills "$(share 500)" $((seed % 32768)); fi
    if wants 'write.*'; then
        part "failing writes and syncs" Tests/crash --json faults $((step > 0 ? step : 1)) ${only:+"${only#write.}"}
    fi
    if wants powercut; then
        part "power cuts" Tests/crash --json powercut "$(share 1500)" $((seed % 32768))
    fi
    if wants 'flip.*'; then
        part "flipped bits" env RATCHET_SEED="$seed" Tests/flip --json ${minutes:+--sample "$(share 40000)"}
    fi
    kills=$(awk '$1 == "kill" { n += $2 } END { print n + 0 }' "$work/faults" 2>/dev/null || echo 0)
}

# All kinds of faults that the simulation knows, or one of them.
simulations() {
    local simulate
    case $only in crash.* | kill | write.* | powercut | flip.*) return ;; esac
    simulate=$(built simulate)
    seeds=$(share 10000)
    part "simulations" "$simulate" --seed "$seed" --seeds "$seeds" --json ${only:+--only "$only"}
}
