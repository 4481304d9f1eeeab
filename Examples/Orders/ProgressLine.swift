import Ratchet
import ServiceLifecycle

/// Shows how far the run has come, on a line that is written over again and again; on a terminal only.
struct ProgressLine: Service {
    private static let interval = Duration.milliseconds(200)
    let progress: RunProgress
    let pipeline: Pipeline<Purchase>

    func run() async throws {
        guard Terminal.error.isInteractive, Terminal.output.isInteractive else { return try await gracefulShutdown() }
        let clock = ContinuousClock()
        let start = clock.now
        await cancelWhenGracefulShutdown {
            // Ends when the sleep is cancelled.
            while (try? await clock.sleep(for: Self.interval)) != nil {
                Terminal.error.write("\r\u{1B}[K" + text(after: start.duration(to: clock.now)))
            }
        }
        Terminal.error.write("\r\u{1B}[K")
    }

    private func text(after duration: Duration) -> String {
        let (published, settled) = (progress.current.published, pipeline.statistics)
        let done = settled.processed + settled.duplicates + settled.redelivered + settled.deadLettered
        let rate = Double(done) / max(duration.seconds, 0.001)
        var parts = [
            "\(Text.grouped(published)) published", "\(Text.grouped(settled.processed)) processed",
            "\(Text.grouped(settled.duplicates)) duplicates", "\(Text.grouped(Int(rate)))/s",
        ]
        if let left = secondsLeft(published: published, done: done, rate: rate) { parts.append("\(left) s left") }
        return parts.joined(separator: "  ")
    }

    // The part of the input that was read tells how much there will be in all.
    private func secondsLeft(published: Int, done: Int, rate: Double) -> Int? {
        guard let fraction = progress.current.fraction, fraction > 0, rate > 0 else { return nil }
        return max(0, Int(((Double(published) / fraction - Double(done)) / rate).rounded(.up)))
    }
}

extension Duration {
    /// In seconds, with decimals.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
