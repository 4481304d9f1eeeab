# What is told of a test: its progress, its failure, and one line for programs.

declare -A injected lost duplicated findings
# The kinds of faults in the order of their first, and which one runs now.
kinds=() kind=""
# What runs now, for the message of a failure, and the arguments that repeat it.
what="" repeat=""
started=$SECONDS
# Whether a failure has been told, with the state folder left as it is.
has_failed=""

# The faults from here on are of this kind.
begin() {
    kind=$1
    if [ -z "${injected[$kind]-}" ]; then
        kinds+=("$kind")
        injected[$kind]=0 lost[$kind]=0 duplicated[$kind]=0 findings[$kind]=0
    fi
}

count_fault() { injected[$kind]=$((injected[$kind] + 1)); }

progress() { if [ -t 1 ]; then printf '\r\033[K%s' "$1"; fi; }

finished() {
    progress ""
    echo "$* ($((SECONDS - started)) s since the start)"
}

# Ends everything, with the state folder left as it is.
fail() {
    if [ -n "$kind" ]; then findings[$kind]=$((findings[$kind] + 1)); fi
    give_up "$1"
}

# So many purchases have no effect, or no receipt.
fail_lost() {
    lost[$kind]=$((lost[$kind] + $1))
    give_up "$2"
}

# So many have had theirs more than once.
fail_duplicated() {
    duplicated[$kind]=$((duplicated[$kind] + $1))
    give_up "$2"
}

give_up() {
    {
        echo
        echo "FAILED: $what: $1"
        [ ! -s "$work/errors" ] || { echo "the last run's errors:" && head -c 2000 "$work/errors"; }
        echo "the state folder: $state"
        echo "to repeat it: Tests/crash $repeat"
    } >&2
    has_failed=1
    exit 1
}

# Runs at the end, however that comes.
leave() {
    local status=$?
    kill -9 ${child-} ${COPROC_PID-} 2>/dev/null || true
    if [ -z "$has_failed" ]; then
        rm -rf "$work" ${memory:+"$memory"}
        # This script itself broke off.
        if [ "$status" != 0 ] && [ -n "$kind" ]; then findings[$kind]=$((findings[$kind] + 1)); fi
    fi
    [ -z "$json" ] || summary >&3
}

# All that was done and found, as one object.
summary() {
    local name separator=""
    printf '{"faults":['
    for name in "${kinds[@]}"; do
        printf '%s{"name":"%s","injected":%d,"lost":%d,"duplicated":%d,"findings":%d}' "$separator" "$name" \
            "${injected[$name]}" "${lost[$name]}" "${duplicated[$name]}" "${findings[$name]}"
        separator=,
    done
    printf '],"kills":%d}\n' "${injected[kill]-0}"
}
