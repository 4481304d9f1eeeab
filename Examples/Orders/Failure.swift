import ArgumentParser

/// Why a command ends early, in one line for whoever typed it.
struct Failure: Error {
    /// 2: the input or the state folder cannot be used. 1: something failed on the way.
    enum Kind: Int32 {
        case unusable = 2
        case failed = 1
    }

    let kind: Kind
    let message: String

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// Runs a command's body: whatever it throws becomes one line on standard error and an exit code.
    static func reporting(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let failure as Failure {
            throw failure.reported()
        } catch let code as ExitCode {
            throw code
        } catch {
            throw Failure(.failed, "\(error)").reported()
        }
    }

    private func reported() -> ExitCode {
        Terminal.error.write("orders: \(Text.oneLine(message))\n")
        return ExitCode(kind.rawValue)
    }
}
