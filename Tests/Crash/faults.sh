# Writes and syncs that fail.

fault_purchases=200
# Those that did not come about.
missed=()
calls=write,pwrite64,pwritev,writev,fsync,fdatasync,msync,ftruncate,fallocate,mkdir,rename
# All that a run writes to in its state folder, and what that is called while it is made.
all_files=". orders.state.unfinished"
for name in broker ledger; do
    all_files+=" .$name.creating-1 .$name.creating-1/data.mdb .$name.creating-1/lock.mdb $name/data.mdb $name/owner"
done

path() { if [ "$1" = . ]; then echo "$state"; else echo "$state/$1"; fi; }

traced() {
    local file=$1
    shift
    run_in "$state" strace -f -qq -o "$work/trace" -P "$(path "$file")" "$@"
}

# What comes before the runs with faults. Each thread counts its calls for itself, and where several call on a file the
# first one's fault ends the run before the others come to theirs: those fail in runs that go on from a death.
befores() { if [ "$1" = . ]; then echo none creation.filled:1; else echo none; fi; }

# A state folder for a fault to come: none, or one left by a death at a crash point.
prepare_state() {
    local status=0
    rm -rf "$state"
    [ "$1" != none ] || return 0
    run_in "$state" env RATCHET_CRASH_AT="$1" || status=$?
    [ "$status" = 137 ] || fail "the run before ended with $status and not at $1"
}

# A run with one fault in it. Answers 1 when the call did not come so often.
inject_once() {
    local file=$1 call=$2 number=$3 error=$4 status=0 begun
    prepare_state "$5"
    begun=$SECONDS
    traced "$file" -e trace="$call" -e inject="$call:error=$error:when=$number" || status=$?
    case $status in
    0) ;;
    1 | 2) [ "$(wc -l <"$work/errors")" = 1 ] || fail "the run gave not one line of reason" ;;
    *) fail "the run ended with $status" ;;
    esac
    # Whatever failed, nothing is waited for that cannot come: the drain timeout is 30 s.
    [ $((SECONDS - begun)) -lt 25 ] || fail "the run took $((SECONDS - begun)) s to end"
    grep -q INJECTED "$work/trace"
}

# One fault. The run ends well all the same or says why not, and soon; the next one has everything.
inject() {
    local file=$1 call=$2 number=$3 error=$4 before=${5-none} tries
    begin "write.$error"
    what="$error of call number $number of $call on $file" repeat="fault $file $call $number $error $before"
    for ((tries = 0; tries < 5; tries++)); do
        if inject_once "$file" "$call" "$number" "$error" "$before"; then
            count_fault
            check
            return
        fi
        check
    done
    missed+=("$error of call number $number of $call on $file$([ "$before" = none ] || echo ", after a death at $before")")
}

# The calls of the trace: the most of one thread, and all.
count_calls() {
    awk -v call="$1(" 'index($2, call) == 1 { n[$1]++; all++ }
        END { for (t in n) if (n[t] > most) most = n[t]; print most + 0, all + 0 }' "$work/calls"
}

# Every index of every call; or, with a step above 1, each step-th of them. With these errors.
all_faults() {
    local step=$1 errors=${2-EIO ENOSPC} file before error
    faults=0 faults_begun=$SECONDS
    choose "$fault_purchases"
    for file in $files; do
        for before in $(befores "$file"); do
            what="a traced run" repeat="--smoke"
            prepare_state "$before"
            traced "$file" -e trace="$calls" || fail "it ended with $?"
            cp "$work/trace" "$work/calls"
            all_faults_of "$file" "$before" "$step"
        done
    done
    finished "faults: $((faults - ${#missed[@]})) in $((SECONDS - faults_begun)) s; all is there, once"
    # The last calls of a run need not come in the next one.
    [ "${#missed[@]}" = 0 ] || printf 'did not come about: %s\n' "${missed[@]}"
    [ "${#missed[@]}" -le $((faults / 20)) ] || fail "${#missed[@]} of $faults faults did not come about"
    for error in $errors; do
        what="$error" repeat="faults $step $error"
        begin "write.$error"
        [ "${injected[$kind]}" -gt 0 ] || fail "it was never injected: none of the faults came about"
    done
}

all_faults_of() {
    local file=$1 before=$2 step=$3 call most all number error
    for call in ${calls//,/ }; do
        read -r most all < <(count_calls "$call")
        for ((number = 1; number <= most; number += step)); do
            for error in $errors; do
                progress "$file: $call $number of $most: $error"
                inject "$file" "$call" "$number" "$error" "$before"
                faults=$((faults + 1))
            done
        done
        [ "$all" = 0 ] || finished "$file: $call: $all calls, $most of the busiest thread: each with $errors" \
            "by steps of $step$([ "$before" = none ] || echo ", after a death at $before")"
    done
}
