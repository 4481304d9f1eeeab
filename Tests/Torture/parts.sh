# The parts, and how much of each.

# How long the whole of it takes, in minutes: what --minutes is compared with.
whole=95
# The sanitizers build all anew and run all tests, which cannot be shared out: that long, and only if so much is given.
sanitizing=35 sanitized_from=70
seeds=0 kills=0 failed=""

# What is left for the other parts.
for_parts() {
    local given=${minutes:-$((whole + sanitizing))}
    echo $((given - (given >= sanitized_from ? sanitizing : 0)))
}

# So much of a whole as the time is for, one at least.
share() {
    local part=$(($1 * $(for_parts) / whole))
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
    seeds=$((seeds + $(told seeds "$work/result")))
    [ -n "$is_whole" ] || failed+="$name, "
}

# Whether a fault of this kind is asked for.
wants() { [ -z "$only" ] || [[ "$only" == $1 ]]; }

all_parts() {
    local step=$((whole / $(for_parts)))
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
    if wants 'bytes.*'; then
        part "damaged bytes" env RATCHET_SEED="$seed" Tests/fuzz --json "$(share 60)" ${only:+"${only#bytes.}"}
    fi
    sanitizers
    kills=$(awk '$1 == "kill" { n += $2 } END { print n + 0 }' "$work/faults" 2>/dev/null || echo 0)
}

# All kinds of faults that the simulation knows, or one of them.
simulations() {
    local simulate
    case $only in *.* | kill | powercut) return ;; esac
    simulate=$(built simulate)
    part "simulations" "$simulate" --seed "$seed" --seeds "$(share 10000)" --json ${only:+--only "$only"}
}

# The tests under each sanitizer; a few of them, where one is asked for and there is no time for more.
sanitizers() {
    local name filter=""
    [ "${minutes:-$sanitized_from}" -ge "$sanitized_from" ] || filter=smoke
    [ -z "$filter" ] || [ -n "$only" ] || return 0
    for name in race.thread memory.address; do
        if wants "$name"; then part "sanitizer: ${name#*.}" Tests/sanitize "${name#*.}" --json $filter; fi
    done
}
