# Power cuts: the writes of runs are recorded, and many states that a cut may leave are made of them and run on.

power_purchases=200
recorded_calls=openat,close,lseek,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,fallocate
recorded_calls+=,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir
# What the model knows nothing of: with one of these in it, a recording is refused.
recorded_calls+=,creat,truncate,sync_file_range,copy_file_range,link,linkat,symlink,symlinkat,dup2,dup3

# Records so many runs, one after the other over the same state folder: the later ones find pages to use again.
record() {
    local runs=$1 run
    recording=$2
    what="a recorded run" repeat="--smoke"
    mkdir "$recording"
    mkdir "$state"
    printf %s "$state" >"$recording/path"
    purchases=$power_purchases
    for ((run = 1; run <= runs; run++)); do
        input=$run expected=$((run * purchases))
        run_in "$state" strace -f --seccomp-bpf -v -xx -s 1048576 -qq -e signal=none -e trace="$recorded_calls" \
            -o "$recording/run-$run.trace" || fail "it ended with $?"
        check_field processed
        check_field receipts
        "$orders" balances --state "$state" >"$recording/balances-$run"
    done
    "$power_cut" whole "$recording" "$state" >"$work/errors" || fail "the recording is not what the runs did"
    rm -rf "$state"
}

# What the cut tore apart must be whole, and run to the end: what an earlier run had said is not made again.
check_cut() {
    local run=$1 step=$2 seed=$3 problem=$4
    what="a power cut in run $run, after step $step, seed $seed" repeat="cut $recording $step $seed"
    count_fault
    case $problem in
    "") ;;
    lost*) fail_lost 1 "$problem" ;;
    *) fail "$problem" ;;
    esac
    purchases=$power_purchases input=$run expected=$((run * power_purchases)) reference=$recording/balances-$run
    check
}

# Many more are only looked at. A disk that lies about syncs must be found out then: a check that sees nothing there sees
# nothing here.
look_at_cuts() {
    local lie bad
    what="power cuts, looked at and not run on" repeat="powercut"
    bad=$("$power_cut" bad "$recording" $((20 * $2)) "$1" none)
    [ "${bad%% of *}" = 0 ] || fail "$bad cuts did harm"
    finished "power cuts: ${bad##* } states were looked at and not run on"
    for lie in files folders writes; do
        what="a disk that lies about $lie" repeat="--smoke"
        bad=$("$power_cut" bad "$recording" 100 "$1" "$lie")
        [ "${bad%% of *}" -ge 50 ] || fail "only $bad cuts were seen to do harm"
    done
}

all_cuts() {
    local runs=$1 count=$2 seed=$3 made=0 begun=$SECONDS word run step cut_seed problem maker from to
    begin powercut
    record "$runs" "$work/recording"
    look_at_cuts "$seed" "$count"
    coproc "$power_cut" states "$recording" "$count" "$seed" "$state"
    maker=$COPROC_PID from=${COPROC[0]} to=${COPROC[1]}
    while read -r word run step cut_seed problem <&"$from" && [ "$word" = state ]; do
        check_cut "$run" "$step" "$cut_seed" "$problem"
        made=$((made + 1))
        progress "power cuts: $made of $count"
        echo >&"$to"
    done
    what="power cuts" repeat="--smoke"
    [ "$word" = done ] || fail "$word $run $step $cut_seed $problem"
    echo >&"$to"
    wait "$maker" || fail "its maker ended with $?"
    finished "power cuts: $run $step $cut_seed $problem of $runs runs in $((SECONDS - begun)) s; all is there, once"
}

# One cut of a recording that a failure has left.
one_cut() {
    local word run step seed problem
    recording=$1
    begin powercut
    read -r word run step seed problem < <("$power_cut" state "$recording" "$2" "$3" "$state")
    [ "$word" = state ] || fail "$word $run $step $seed $problem"
    check_cut "$run" "$step" "$seed" "$problem"
}
