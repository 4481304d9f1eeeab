# One run of the program that is tried, and what must be so at the end of `orders`.

# What a run makes up: so many purchases, from this seed; and what must be there at its end: so many purchases, these
# balances.
purchases="" input=1 expected="" reference=""

# Starts a run with its state in a folder; the words after that come before the command.
start_in() {
    local folder=$1 command
    shift
    [ "$program" = orders ] || mkdir -p "$folder"
    words_of_run "$folder"
    "$@" "${command[@]}" >"$work/output" 2>"$work/errors" &
    child=$!
}

# Answers how it ended; without the shell's own word on what was killed.
end() {
    local status=0
    wait "$child" 2>/dev/null || status=$?
    # Its number may soon be another process's.
    child=""
    return "$status"
}

run_in() {
    start_in "$@"
    end
}

# The runs from here on have so many purchases, and the balances of one that nothing befalls.
choose() {
    purchases=$1 input=${2-1} expected=$1 reference=$work/reference-$1-${2-1}
    [ "$program" = orders ] && [ ! -e "$reference" ] || return 0
    what="a run without faults" repeat="--smoke"
    run_in "$work/undisturbed" || fail "it ended with $?"
    "$orders" balances --state "$work/undisturbed" >"$reference"
    [ -s "$reference" ] || fail "it has no balances"
    rm -rf "$work/undisturbed"
}

field() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$work/${2-output}"; }

# Every purchase must have what the field counts, once.
check_field() {
    local found
    found=$(field "$1")
    [ -n "$found" ] || fail "the run did not say how many are $1"
    [ "$found" -ge "$expected" ] || fail_lost $((expected - found)) "$1 are $found of $expected purchases"
    [ "$found" -le "$expected" ] || fail_duplicated $((found - expected)) "$1 are $found, of $expected purchases"
}

# Another process reads what was published so far and writes it down; what it has seen before must be so still.
collect() {
    "$receipts" collect "$state" "$work/effects" 2>"$work/errors" || fail "what is seen from outside is not so any more"
}

# The same once more; and each purchase that was acknowledged has one receipt, whatever the program says of itself.
check_effects() {
    local sum
    "$receipts" verify "$state" "$work/effects" >"$work/verdict" 2>"$work/errors" ||
        fail "what is seen from outside is not what it must be"
    [ "$(field purchases verdict)" = "$expected" ] ||
        fail "$(field purchases verdict) of $expected purchases are seen from outside"
    [ "$(field lost verdict)" = 0 ] || fail_lost "$(field lost verdict)" "purchases without a receipt, seen from outside"
    [ "$(field twice verdict)" = 0 ] ||
        fail_duplicated "$(field twice verdict)" "purchases with several receipts, seen from outside"
    sum=$(awk -F '\t' '{ n += $2 } END { printf "%d", n }' "$reference")
    [ "$(field cents verdict)" = "$sum" ] ||
        fail "the receipts that are seen from outside are worth $(field cents verdict) cents, and not $sum"
    rm -f "$work/effects"
}

check_orders() {
    run_in "$state" || fail "the run after it ended with $?"
    [ ! -s "$work/errors" ] || fail "the run after it complained"
    check_effects
    check_field processed
    check_field receipts
    [ "$(field deadLettered)" = 0 ] || fail "$(field deadLettered) dead letters"
    [ "$(field published)" = $(($(field processed) + $(field duplicates))) ] ||
        fail "of $(field published) published, $(field processed) are processed and $(field duplicates) duplicates"
    "$orders" balances --state "$state" >"$work/balances" 2>"$work/errors" || fail "the balances cannot be read"
    cmp -s "$work/balances" "$reference" || fail "the balances differ: diff $work/balances $reference"
    rm -rf "$state"
}
