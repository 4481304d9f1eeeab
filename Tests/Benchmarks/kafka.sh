# One pipeline over Kafka (librdkafka's mock cluster, in a process of its own) and over the in-process broker, and what is
# usual in Python. Sourced by `run`, which has set rounds and root; needs broker.sh for Redis.

# A row each: what runs, with which options, how many messages, what the table calls it, and the name of the row that it is
# compared with.
kafka_rows=(
    "broker|--handler transactional|2000000|transactional, in-process broker|"
    "kafka|--handler transactional|2000000|transactional, Kafka|transactional, in-process broker"
    "broker|--handler async|1000000|async, in-process broker|"
    "kafka|--handler async|1000000|async, Kafka|async, in-process broker"
    "redis-always||300000|Python, confluent-kafka and Redis SET NX, appendfsync always|async, Kafka"
    "redis-no||300000|Python, confluent-kafka and Redis SET NX, appendfsync no|async, Kafka"
)
kafka_partitions=8
kafka_ahead=100000
kafka_customers=23570
feed=""

# Starts the mock cluster with its feed, and sets `servers`; file descriptor 8 keeps it alive.
start_feed() {
    mkfifo "$1/credits"
    "$kafka_bin/kafka-feed" "$2" "$kafka_partitions" "$kafka_ahead" "$kafka_customers" <"$1/credits" >"$1/servers" &
    feed=$!
    exec 8>"$1/credits"
    while [ ! -s "$1/servers" ]; do
        kill -0 "$feed" || return 1
        sleep 0.1
    done
    servers=$(cat "$1/servers")
}

stop_feed() {
    [ -n "$feed" ] || return 0
    exec 8>&-
    kill "$feed" 2>/dev/null || true
    wait "$feed" 2>/dev/null || true
    feed=""
}

measure_kafka() {
    local round=$1 row=$2 system options messages name other result folder=$root/kafka
    IFS='|' read -r system options messages name other <<<"${kafka_rows[$row]}"
    case $system in redis-*) is_installed "$system" && has_python_clients || return 0 ;; esac
    printf 'kafka: round %s of %s: %-70s\r' "$round" "$rounds" "$name" >&2
    mkdir "$folder"
    # shellcheck disable=SC2086
    case $system in
    broker)
        result=$("$kafka_bin/KafkaBenchmark" --system broker --directory "$folder" --messages "$messages" \
            --partitions "$kafka_partitions" --ahead "$kafka_ahead" --customers "$kafka_customers" $options)
        ;;
    kafka)
        start_feed "$folder" "$messages"
        result=$("$kafka_bin/KafkaBenchmark" --system kafka --directory "$folder" --messages "$messages" \
            --servers "$servers" --credits "$folder/credits" $options)
        ;;
    redis-*)
        start_feed "$folder" "$messages"
        start_server "$system" "$folder"
        result=$(/usr/bin/python3 kafka-consume.py "$servers" "$port" "$messages" "$folder/credits")
        ;;
    esac
    stop_feed
    stop_server
    rm -rf "$folder"
    printf '%s\t%s\t%s\t%s\n' "$round" "$name" "$other" "$result" >>"$root/kafka-results"
}

# Debian's packages are for Debian's own Python.
has_python_clients() { /usr/bin/python3 -c 'import confluent_kafka, redis' 2>/dev/null; }

run_kafka() {
    local round row product options=(-c release --traits Kafka --scratch-path .build-kafka-release)
    for product in KafkaBenchmark kafka-feed; do
        printf 'building %s\n' "$product" >&2
        swift build "${options[@]}" --product "$product" >"$root/build" 2>&1 || { cat "$root/build" >&2 && exit 1; }
    done
    kafka_bin=$(swift build "${options[@]}" --show-bin-path)
    is_installed redis-always && has_python_clients || echo \
        "without redis-server, python3-redis or python3-confluent-kafka: Python's rows are left out"
    for round in $(seq "$rounds"); do
        for row in "${!kafka_rows[@]}"; do measure_kafka "$round" "$row"; done
    done
    printf '\n### Kafka: a topic of %s partitions that is refilled while it is read\n\n' "$kafka_partitions"
    python3 kafka-table.py "$root/kafka-results"
}
