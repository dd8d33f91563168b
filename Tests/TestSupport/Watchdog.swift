import Foundation

/// Runs work that might hang, and comes back in any case.
public enum Watchdog {
  /// The error of work that was not done in time; its threads are left behind.
  public struct Timeout: Error, CustomStringConvertible {
    public let description: String
    public init(description: String) { self.description = description }
  }

  private final class Outcome: @unchecked Sendable {
    private let lock = NSLock()
    private var firstError: (any Error)?

    func fail(_ error: any Error) { lock.withLock { firstError = firstError ?? error } }
    func check() throws { if let error = lock.withLock({ firstError }) { throw error } }
  }

  /// Runs `body` with 0 ..< `threadCount`, each number on a thread of its own, and waits for all.
  ///
  /// The deadline is far beyond what the work takes: it tells a hang from a result, not slow from fast.
  /// - Throws: the first error that `body` throws; ``Timeout`` when a thread has not come to its end.
  public static func run(
    threads threadCount: Int = 1, seconds: Double = 120, _ what: String = #function,
    _ body: @escaping @Sendable (Int) throws -> Void
  ) throws {
    let outcome = Outcome()
    let group = DispatchGroup()
    for number in 0..<threadCount {
      group.enter()
      let thread = Thread {
        do { try body(number) } catch { outcome.fail(error) }
        group.leave()
      }
      thread.stackSize = 4 << 20
      thread.start()
    }
    guard group.wait(timeout: .now() + seconds) == .success else {
      throw Timeout(description: "\(what): not done after \(seconds) s")
    }
    try outcome.check()
  }
}

/// Work on a thread of its own that is waited for later, with a deadline.
public final class BackgroundWork<Result: Sendable>: @unchecked Sendable {
  private let done = DispatchSemaphore(value: 0)
  private let lock = NSLock()
  private var outcome: Swift.Result<Result, any Error>?

  public init(_ body: @escaping @Sendable () throws -> Result) {
    let thread = Thread { [self] in
      let result = Swift.Result { try body() }
      lock.withLock { outcome = result }
      done.signal()
    }
    thread.stackSize = 4 << 20
    thread.start()
  }

  /// What the work gave or threw; ``Watchdog/Timeout`` when it is not done in time. Call it once.
  @discardableResult public func result(seconds: Double = 120) throws -> Result {
    guard done.wait(timeout: .now() + seconds) == .success, let outcome = lock.withLock({ outcome }) else {
      throw Watchdog.Timeout(description: "work on a thread is not done after \(seconds) s")
    }
    return try outcome.get()
  }
}

/// A moment that one thread waits for and another brings about.
public final class Signal: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)

  public init() {}
  public func raise() { semaphore.signal() }

  public func wait(seconds: Double = 120) throws {
    guard semaphore.wait(timeout: .now() + seconds) == .success else {
      throw Watchdog.Timeout(description: "no signal after \(seconds) s")
    }
  }
}
