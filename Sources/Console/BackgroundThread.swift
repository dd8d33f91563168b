import Glibc

/// A thread of the system's for work that blocks, which does not belong on Swift's cooperative pool.
package enum BackgroundThread {
  /// Runs `body` on a thread of its own, which ends with it. Who needs its end has `body` say so, by a
  /// monitor, for example.
  /// - Throws: ``ConsoleFailure`` `.system` when the system has no thread left.
  package static func start(_ body: @escaping @Sendable () -> Void) throws(ConsoleFailure) {
    let context = unsafe Unmanaged.passRetained(Body(run: body))
    var thread = pthread_t()
    // Safe: the context stays retained until the thread takes it, or is released below if there is none.
    let status = unsafe pthread_create(
      &thread, nil,
      { context in
        // Safe: the one argument is the retained body from above, and this is its one release.
        guard let context = unsafe context else { return nil }
        unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard status == 0 else {
      // Safe: no thread has the context.
      unsafe context.release()
      throw ConsoleFailure(errorNumber: status, "starting a thread")
    }
    pthread_detach(thread)
  }

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(run: @escaping @Sendable () -> Void) { self.run = run }
  }
}
