import Glibc

/// State behind a lock, with waiting: what `Mutex` lacks.
///
/// Every change wakes the waiting threads, which look again at what they wait for.
@safe public final class Monitor<State>: @unchecked Sendable {
  // Unchecked: `state` is touched only while the mutex is held.
  private var state: State
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>

  public init(_ state: sending State) {
    self.state = state
    // Safe: both get a fixed address, are made before anyone can see them, and are freed in `deinit`.
    unsafe mutex = .allocate(capacity: 1)
    unsafe changed = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(changed, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(changed)
    unsafe pthread_mutex_destroy(mutex)
    unsafe changed.deallocate()
    unsafe mutex.deallocate()
  }

  /// Calls `body` with the state; nothing slow belongs inside.
  public func withLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    // Safe: the lock is held from here to the end, on every path.
    unsafe pthread_mutex_lock(mutex)
    defer {
      unsafe pthread_cond_broadcast(changed)
      unsafe pthread_mutex_unlock(mutex)
    }
    return try body(&state)
  }

  /// As ``withLock(_:)``, and wakes nobody: for a look, or a change that nobody waits for.
  public func withQuietLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    // Safe: as above.
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return try body(&state)
  }

  /// Waits until `ready` gives a value. It is asked under the lock, now and after every change; when it gives one it
  /// may have changed the state, and when it gives nil it must not have.
  public func wait<R>(until ready: (inout State) -> R?) -> R {
    unsafe pthread_mutex_lock(mutex)
    defer {
      unsafe pthread_cond_broadcast(changed)
      unsafe pthread_mutex_unlock(mutex)
    }
    while true {
      if let result = ready(&state) { return result }
      unsafe pthread_cond_wait(changed, mutex)
    }
  }

  /// As ``wait(until:)``, giving up with nil after `seconds`.
  public func wait<R>(seconds: Double, until ready: (inout State) -> R?) -> R? {
    let deadline = Clock.monotonicNanoseconds() + Int64(max(0, min(seconds, 1e9)) * 1e9)
    var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
    unsafe pthread_mutex_lock(mutex)
    defer {
      unsafe pthread_cond_broadcast(changed)
      unsafe pthread_mutex_unlock(mutex)
    }
    while true {
      if let result = ready(&state) { return result }
      if unsafe pthread_cond_timedwait(changed, mutex, &time) == ETIMEDOUT { return ready(&state) }
    }
  }
}

public enum Clock {
  /// Nanoseconds since 1970; may be set back and forth by whoever keeps the clock, so never used for order.
  public static func wallNanoseconds() -> Int64 { read(CLOCK_REALTIME) }

  /// Nanoseconds since some moment; never goes back.
  public static func monotonicNanoseconds() -> Int64 { read(CLOCK_MONOTONIC) }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    // Safe: `time` lives through the call, which cannot fail for these clocks.
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
