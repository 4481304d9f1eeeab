public import Ratchet
import Testing

/// Public, in a file that imports Ratchet alone: that it compiles is the promise.
public let stock = StateTable<String, Int>("stock")

@Suite("A public table of state")
struct PublicTableTests {
    @Test("A module that imports Ratchet alone may have one")
    func compiles() { #expect(stock.name == "stock") }
}
