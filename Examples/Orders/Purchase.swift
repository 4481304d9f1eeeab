#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One purchase: a line of the input and the payload of a message.
struct Purchase: Decodable, Sendable {
    /// What makes two messages the same purchase.
    var id: String
    var customer: String
    var date: String
    var quantity: Int
    var cents: Int

    private enum CodingKeys: String, CodingKey { case id, customer, date, quantity, cents }

    /// Ids and customers become keys, and cents are added up: what could not be stored is no purchase.
    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        id = try fields.decode(String.self, forKey: .id)
        customer = try fields.decode(String.self, forKey: .customer)
        date = try fields.decode(String.self, forKey: .date)
        quantity = try fields.decode(Int.self, forKey: .quantity)
        cents = try fields.decode(Int.self, forKey: .cents)
        for (key, text) in [(CodingKeys.id, id), (.customer, customer)] where !(1...256 ~= text.utf8.count) {
            let problem = "\(text.utf8.count) bytes, must be 1 to 256"
            throw DecodingError.dataCorruptedError(forKey: key, in: fields, debugDescription: problem)
        }
        guard Self.centsBounds.contains(cents) else {
            let problem = "\(cents), must be within \(Self.centsBounds)"
            throw DecodingError.dataCorruptedError(forKey: .cents, in: fields, debugDescription: problem)
        }
    }

    /// A billion dollars either way: a balance has room for ninety million such purchases.
    static let centsBounds = -100_000_000_000...100_000_000_000

    /// The purchase that a line holds, nil if it holds none.
    init?(line: [UInt8]) {
        guard let purchase = try? Self.decoder.decode(Purchase.self, from: Data(line)) else { return nil }
        self = purchase
    }

    private static let decoder = JSONDecoder()
}

/// What a customer gets for each purchase, once.
struct Receipt: Encodable, Sendable {
    var purchase: String
    var customer: String
    var cents: Int
    /// What the customer has spent so far, this purchase included.
    var balance: Int
}

extension Receipt {
    /// The id of a purchase's receipt: derived from the purchase, so that a receipt that is sent again is known as the
    /// same.
    static func id(of purchase: Purchase) -> String { "receipt-\(purchase.id)" }
}
