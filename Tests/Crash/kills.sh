# Deaths at random moments.

# Kills so often, a few times in the same state before each check.
random_kills() {
    local kills=$1 seed=$2 killed=0 whole begun runs=0 moment in_state status
    begin kill
    choose 2000
    RANDOM=$seed
    begun=$(date +%s%N)
    run_in "$work/timed" || fail "a run without faults ended with $?"
    whole=$((($(date +%s%N) - begun) / 1000000))
    rm -rf "$work/timed"
    what="kills at random moments, seed $seed" repeat="kills $kills $seed"
    while [ "$killed" -lt "$kills" ]; do
        in_state=0
        while [ "$in_state" -lt 5 ] && [ "$killed" -lt "$kills" ]; do
            runs=$((runs + 1))
            [ "$runs" -le $((3 * kills + 10)) ] || fail "runs end before they can be killed"
            moment=$((whole * RANDOM / 32768))
            start_in "$state"
            sleep "$((moment / 1000)).$(printf %03d $((moment % 1000)))"
            kill -9 "$child" 2>/dev/null || true
            status=0
            end || status=$?
            in_state=$((in_state + 1))
            case $status in
            0) ;;
            137) killed=$((killed + 1)) && count_fault ;;
            *) fail "a run ended with $status before it was killed" ;;
            esac
            # Now and then: the collector and not the next run is then the first to open what the death has left.
            [ $((runs % 3)) != 0 ] || collect
        done
        check
        progress "kills: $killed of $kills"
    done
    finished "random moments: $killed kills in $runs runs, seed $seed; all is there, once"
}
