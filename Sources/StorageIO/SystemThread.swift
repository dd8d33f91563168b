import CKernels
import Glibc

/// A thread of the system's, for work that blocks or computes long: neither belongs on Swift's cooperative pool.
public final class SystemThread: Sendable {
  private let handle: pthread_t

  /// Starts a thread that runs `body`; call ``join()`` once.
  public init(_ body: @escaping @Sendable () -> Void) throws(SystemCallFailure) {
    let box = Box(body)
    var handle = pthread_t()
    // Safe: the thread takes over the reference that is passed here; if none starts, it is taken back.
    let argument = unsafe Unmanaged.passRetained(box)
    let error = unsafe pthread_create(
      &handle, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, argument.toOpaque())
    if error != 0 {
      unsafe argument.release()
      throw SystemCallFailure(call: "pthread_create", subject: "thread", errorNumber: error)
    }
    self.handle = handle
  }

  /// Waits for the end of the thread.
  public func join() {
    pthread_join(handle, nil)
  }

  /// Whether it is the thread that asks.
  public var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }

  /// Lets it end by itself; in place of ``join()``.
  public func detach() { pthread_detach(handle) }

  /// The number of processors this process may run on.
  public static var processorCount: Int { Int(pfs_processor_count()) }

  private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
