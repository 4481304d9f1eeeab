import ArgumentParser

/// The example's command line: `orders`, `orders balances`, `orders dead-letters`.
@main
struct Orders: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "orders",
        abstract: "Purchases in, each customer's balance exactly right, however often a purchase comes.",
        discussion: """
            Publishes purchases to a message broker in this process, adds each of them to its customer's balance exactly \
            once and sends one receipt for it. Kill it at any moment and run it again with the same --state: the balances \
            come out the same.
            """,
        subcommands: [RunCommand.self, BalancesCommand.self, DeadLettersCommand.self],
        defaultSubcommand: RunCommand.self
    )
}
