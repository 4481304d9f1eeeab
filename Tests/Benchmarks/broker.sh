# The broker beside a file that is appended to and synced, Redis Streams and NATS JetStream; and on three nodes. Sourced
# by `run`, which has set rounds, root and bin, and builds.

# A row each: what is run, with which options, and what the table calls it.
rows=(
    "floor||append + fdatasync, one batch in flight"
    "broker|--in-flight 1|broker, one batch in flight"
    "broker||broker"
    "broker|--in-flight 16|broker, 16 batches in flight"
    "broker|--partitions 4|broker, 4 partitions"
    "redis-always||Redis Streams, appendfsync always"
    "redis-always|--in-flight 16|Redis Streams, appendfsync always, 16 batches in flight"
    "redis-always|--partitions 4|Redis Streams, appendfsync always, 4 partitions"
    "broker|--unsynced|broker, not synced"
    "redis-no||Redis Streams, appendfsync no"
    "nats||NATS JetStream, confirms before it syncs"
    "nats|--partitions 4|NATS JetStream, confirms before it syncs, 4 partitions"
    "broker|--nodes 3 --in-flight 1|broker, 3 nodes, acks all, one batch in flight"
    "broker|--nodes 3|broker, 3 nodes, acks all"
    "broker|--nodes 3 --in-flight 16|broker, 3 nodes, acks all, 16 batches in flight"
    "broker|--nodes 3 --acks leader|broker, 3 nodes, acks leader"
)
server=""

# Starts what a row needs, in a folder of its own, and sets `port`.
start_server() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    case $1 in
    redis-*)
        redis-server --bind 127.0.0.1 --port "$port" --dir "$2" --save '' --appendonly yes --appendfsync "${1#redis-}" \
            --auto-aof-rewrite-percentage 0 >"$2/log" 2>&1 &
        ;;
    nats)
        printf 'listen: "127.0.0.1:%s"\njetstream { store_dir: "%s" }\n' "$port" "$2" >"$2/configuration"
        nats-server -c "$2/configuration" >"$2/log" 2>&1 &
        ;;
    esac
    server=$!
    for _ in $(seq 100); do
        if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "$0: $1 does not answer:" >&2
    cat "$2/log" >&2
    return 1
}

stop_server() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=""
}

# Whether the system's program is there.
is_installed() {
    case $1 in
    redis-*) command -v redis-server >/dev/null ;;
    nats) command -v nats-server >/dev/null ;;
    esac
}

# Appends what one row gives to the results: round, batch, row and a line of JSON. Leaves out whose program is missing
# and, where flushes are slowed down, whose flushes cannot be.
measure() {
    local delay=$1 round=$2 batch=$3 row=$4 system options name result count folder=$root/broker
    IFS='|' read -r system options name <<<"${rows[$row]}"
    is_installed "$system" || return 0
    # A thousandth of a second each: fewer are enough.
    count=$((batch * (delay > 0 ? 400 : batch < 1000 ? 2000 : 500)))
    if [ "$delay" -gt 0 ]; then
        case "$system $options" in redis* | nats* | *--unsynced*) return 0 ;; esac
    fi
    printf 'broker, %s µs added: round %s of %s, batches of %s: %-60s\r' "$delay" "$round" "$rounds" "$batch" "$name" >&2
    mkdir "$folder"
    port=0
    case $system in redis-* | nats) start_server "$system" "$folder" ;; esac
    # shellcheck disable=SC2086
    result=$(TMPDIR=$folder "$bin/BrokerBenchmark" --directory "$folder" --system "${system%-*}" --port "$port" \
        --delay "$delay" --batch "$batch" --messages "$count" $options)
    stop_server
    rm -rf "$folder"
    printf '%s\t%s\t%s\t%s\n' "$round" "$batch" "$row" "$result" >>"$root/broker-results-$delay"
}

run_broker() {
    local delay round batch row program
    build BrokerBenchmark
    for program in redis-always nats; do
        is_installed "$program" || echo "without ${program%-*}-server, which is not installed: its rows are left out"
    done
    for delay in 0 1000; do
        for round in $(seq "$rounds"); do
            for batch in 100 1000; do
                for row in "${!rows[@]}"; do measure "$delay" "$round" "$batch" "$row"; done
            done
        done
        printf '\n### The broker: messages of 100 bytes, four batches in flight unless said otherwise, %s µs added to each flush\n\n' "$delay"
        printf '%s\n' "${rows[@]}" | python3 broker-table.py "$root/broker-results-$delay"
    done
}
