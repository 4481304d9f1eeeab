# Broken variants of the library: each must be caught, or the tests prove nothing.

all_variants() {
    local simulate variant status caught=0 missed=()
    .ci/install
    simulate=$(built simulate)
    # Whoever finds something in the sound library as well has caught nothing.
    echo "the same seeds without a mistake first"
    "$simulate" --seed "$seed" --seeds 500 >"$simulate.log" 2>&1 ||
        { cat "$simulate.log" && echo "seeds of the library as it is fail: no variant can be told from it" >&2 && exit 1; }
    printf '%-24s %s\n' "broken variant" "caught by"
    for variant in $(sed -n 's/^ *case .* = "\(.*\)"$/\1/p' Sources/LMDB/BrokenVariant.swift); do
        status=0
        RATCHET_BROKEN=$variant "$simulate" --seed "$seed" --seeds 500 --first-failure >"$simulate.log" 2>&1 || status=$?
        if [ "$status" = 1 ] && grep -q '^seed [0-9]* fails' "$simulate.log"; then
            caught=$((caught + 1))
            printf '%-24s %s\n' "$variant" "$(how)"
        else
            missed+=("$variant")
            printf '%-24s %s\n' "$variant" "NOTHING within 500 seeds (exit $status)"
        fi
    done
    [ -z "$json" ] || printf '{"caught":%d,"missed":%d}\n' "$caught" "${#missed[@]}" >&3
    [ "$caught" != 0 ] || { echo "no broken variant was tried" >&2 && exit 1; }
    [ "${#missed[@]}" = 0 ] || { echo "not caught: ${missed[*]}" >&2 && exit 1; }
    echo "all $caught broken variants were caught"
}

# The seed, and the first thing that was found.
how() {
    sed -n 's/^seed \([0-9]*\) fails with .*/seed \1/p;s/^found: //p' "$simulate.log" | paste -sd: | sed 's/:/: /'
}
