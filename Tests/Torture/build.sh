# What tests and programs are built with.

# The package manager gives the compiler the traits in an order that changes, and then all is built anew.
build() { SWIFT_DETERMINISTIC_HASHING=1 swift build "$@"; }

# The traits are without effect until the environment names a place or a mistake.
programs=.build-torture

# Builds a product as users do, and prints its path; not that of an earlier build when this one fails.
built() {
    # Within $(…) the shell goes on after an error.
    build --configuration release --traits CrashPoints,BrokenVariants --scratch-path "$programs" --product "$1" >&2 &&
        echo "$PWD/$programs/release/$1"
}

# The tests are built with the connectors in a folder of their own, as traits change how every module is compiled. Whoever
# has them built so does not build them again without.
connectors=.build-connectors
tests_options=()
with_connectors() { tests_options=(--traits "Kafka,RabbitMQ" --scratch-path "$connectors"); }
without_connectors() { tests_options=(); }
[ ! -d "$connectors" ] || with_connectors

# What runs the tests, where something must.
tests_within=()
build_tests() { build ${tests_options[@]+"${tests_options[@]}"} --build-tests; }
tests() { ${tests_within[@]+"${tests_within[@]}"} swift test ${tests_options[@]+"${tests_options[@]}"} --skip-build "$@"; }
