# A pipeline over a real RabbitMQ beside the C library alone and beside Python's pika with Redis SET NX, from a queue that is
# refilled meanwhile. Sourced by `run`, which has set rounds and root, and by then broker.sh.

rabbitmq_rows=("plain|C, librabbitmq, no ledger" "pipeline|pipeline, ledger" "redis|Python, pika and Redis SET NX")
# Fewer than all that wait in the queue, so that it is never empty; Python's tenth takes as long as the others' all.
rabbitmq_messages=${RATCHET_RABBITMQ_MESSAGES:-200000}
rabbitmq_prefetch=${RATCHET_RABBITMQ_PREFETCH:-10000}

start_rabbitmq() {
    rabbitmq_port=$(python3 -c 'import random; print(random.randrange(2500, 5500) * 10)')
    coproc RABBITMQ { ../rabbitmq "$root/rabbitmq" "$rabbitmq_port" 2GB; }
    rabbitmq_order start
    rabbitmq_url="amqp://guest:guest@127.0.0.1:$rabbitmq_port/%2F"
}

rabbitmq_order() {
    local answer
    echo "$1" >&"${RABBITMQ[1]}"
    read -r answer <&"${RABBITMQ[0]}" && [ "$answer" = ok ]
}

# Ends with its input.
stop_rabbitmq() {
    [ -n "${RABBITMQ_PID-}" ] || return 0
    local pid=$RABBITMQ_PID
    exec {RABBITMQ[1]}>&-
    wait "$pid" || true
}

# Fills a queue of this kind, and goes on while it is consumed from.
start_filling() {
    mkfifo "$root/fill-input" "$root/fill-output"
    "$rabbitmq_bin/RabbitMQBenchmark" fill --url "$rabbitmq_url" --queue "$1" --kind "$1" \
        --level $((rabbitmq_messages * 3 / 2)) <"$root/fill-input" >"$root/fill-output" &
    filling=$!
    exec {fill_input}>"$root/fill-input" {fill_output}<"$root/fill-output"
}

# Returns once the queue is full.
wait_until_full() {
    local answer
    echo -n f >&"$fill_input"
    read -r answer <&"$fill_output" && [ "$answer" = full ]
}

# Sets `least`: how few messages have waited.
stop_filling() {
    exec {fill_input}>&-
    read -r least <&"$fill_output"
    exec {fill_output}<&-
    wait "$filling"
    rm "$root/fill-input" "$root/fill-output"
}

# One line of JSON.
measure_rabbitmq() {
    local folder=$root/rabbitmq-run result
    case $1 in
    plain) "$rabbitmq_bin/RabbitMQBenchmark" plain --url "$rabbitmq_url" --queue "$2" \
        --messages "$rabbitmq_messages" --prefetch $rabbitmq_prefetch ;;
    pipeline)
        mkdir "$folder"
        "$rabbitmq_bin/RabbitMQBenchmark" pipeline --url "$rabbitmq_url" --queue "$2" \
            --messages "$rabbitmq_messages" --prefetch $rabbitmq_prefetch --directory "$folder"
        rm -rf "$folder"
        ;;
    redis)
        mkdir "$folder"
        start_server redis-everysec "$folder" >&2
        /usr/bin/python3 rabbitmq-redis.py "$rabbitmq_url" "$2" $((rabbitmq_messages / 10)) $rabbitmq_prefetch "$port"
        stop_server
        rm -rf "$folder"
        ;;
    esac
}

rabbitmq_lacks() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || echo rabbitmq-server
    [ -e /usr/include/amqp.h ] || echo librabbitmq-dev
}

run_rabbitmq() {
    local kind round index row lacks
    lacks=$(rabbitmq_lacks)
    [ -z "$lacks" ] || { echo "$0: RabbitMQ is left out: $(echo $lacks) missing" >&2; return 0; }
    # Built apart: the trait changes how every module is compiled.
    local options=(-c release --traits RabbitMQ --scratch-path .build-rabbitmq-release)
    swift build "${options[@]}" --product RabbitMQBenchmark 2>&1 | tail -n 1
    rabbitmq_bin=$(swift build "${options[@]}" --show-bin-path)
    if ! command -v redis-server >/dev/null || ! /usr/bin/python3 -c 'import pika, redis' 2>/dev/null; then
        echo "without Python's row: redis-server, python3-redis or python3-pika is not installed"
        rabbitmq_rows=("${rabbitmq_rows[@]:0:2}")
    fi
    start_rabbitmq
    for kind in quorum classic; do
        start_filling "$kind"
        for round in $(seq "$rounds"); do
            for index in "${!rabbitmq_rows[@]}"; do
                # Each row follows each: the server still writes what the one before has had it refill.
                row=${rabbitmq_rows[(index + round) % ${#rabbitmq_rows[@]}]}
                wait_until_full
                printf '%s queue: round %s of %s: %-40s\r' "$kind" "$round" "$rounds" "${row#*|}" >&2
                printf '%s\t%s\n' "${row%%|*}" "$(measure_rabbitmq "${row%%|*}" "$kind")" >>"$root/rabbitmq-$kind"
            done
        done
        stop_filling
        printf '\n### A pipeline over RabbitMQ, a %s queue on one node, messages of 100 bytes, prefetch %s\n\n' "$kind" $rabbitmq_prefetch
        printf '%s\n' "${rabbitmq_rows[@]}" | python3 rabbitmq-table.py "$root/rabbitmq-$kind" "$least"
    done
    stop_rabbitmq
}
