# The programs that come to crash points, each with a run of its own and what must be so at the end: `orders`; `shop`, with
# producers, transactions and a queue, on a broker of one node or of three (`shops`); and `compactor`.

# Which of them is run now.
program=orders
# What the programs beside `orders` are built to, once one of them is run.
shop="" compactor=""

# Who comes to a crash point.
program_of() {
    case $1 in
    queue.*) echo shop ;;
    redo.* | leader.* | follower.* | leadership.*) echo shops ;;
    compaction.*) echo compactor ;;
    *) echo orders ;;
    esac
}

use() {
    program=$1
    case $program in
    shop | shops) shop=${shop:-$(built shop)} ;;
    compactor) compactor=${compactor:-$(built compactor)} ;;
    esac
}

nodes() { if [ "$program" = shop ]; then echo 1; else echo 3; fi; }

# The command of a run in a folder, as words.
words_of_run() {
    case $program in
    orders) command=("$orders" --generate "$purchases" --seed "$input" --duplicates 0.2 --state "$1" --json) ;;
    shop | shops) command=("$shop" "$1" "$(nodes)" once) ;;
    compactor) command=("$compactor" "$1/broker" 3 0) ;;
    esac
}

# Runs to the end, and everything must be as if nothing had happened.
check() {
    case $program in
    orders)
        check_orders
        return
        ;;
    shop | shops)
        "$shop" "$state" "$(nodes)" finish >"$work/output" 2>"$work/errors" || fail "the run after it ended with $?"
        "$shop" "$state" "$(nodes)" verify >"$work/verdict" 2>"$work/errors" || fail "what there is cannot be looked at"
        ;;
    compactor)
        run_in "$state" || fail "the run after it ended with $?"
        "$compactor" "$state/broker" 3 verify 2 >"$work/verdict" 2>"$work/errors" ||
            fail "what there is cannot be looked at"
        ;;
    esac
    check_verdict
    rm -rf "$state"
}

# What the programs themselves find, looking from outside at what there is.
check_verdict() {
    local told
    told=$(head -c 2000 "$work/verdict")
    [ -n "$(field lost verdict)" ] && [ -n "$(field twice verdict)" ] || fail "no verdict: $told"
    [ "$(field lost verdict)" = 0 ] || fail_lost "$(field lost verdict)" "$told"
    [ "$(field twice verdict)" = 0 ] || fail_duplicated "$(field twice verdict)" "$told"
    [ "$program" = compactor ] || [ "$(field wrong verdict)" = 0 ] || fail "$told"
}
