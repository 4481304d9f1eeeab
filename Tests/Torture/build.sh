# What all of it is built with: the traits are without effect until the environment names a place or a mistake.

build=.build-torture

# Builds a product as users do, and prints its path; not that of an earlier build when this one fails.
built() {
    # Of two traits the package manager gives the compiler now one first, now the other, and then all is built anew.
    # Within $(…) the shell goes on after an error.
    SWIFT_DETERMINISTIC_HASHING=1 swift build --configuration release --traits CrashPoints,BrokenVariants --scratch-path "$build" --product "$1" >&2 &&
        echo "$PWD/$build/release/$1"
}
