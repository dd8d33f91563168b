import Glibc

/// State behind a lock, with waiting: what `Mutex` lacks. A reference: copies of a monitor are the same one.
///
/// Every change wakes the waiting threads, which look again at what they wait for.
@safe public struct Monitor<State>: @unchecked Sendable {
  // Unchecked: the state is touched only while the mutex is held.
  @usableFromInline let storage: MonitorStorage<State>

  public init(_ state: sending State) {
    // Safe: one object holds the state and, behind it, the lock, which is made before anyone can see it.
    let made = MonitorStorage<State>.create(minimumCapacity: 1) { _ in state }
    unsafe made.withUnsafeMutablePointerToElements { lock in unsafe MonitorLock.initialize(lock) }
    storage = unsafe unsafeDowncast(made, to: MonitorStorage<State>.self)
  }

  public static func === (left: Monitor, right: Monitor) -> Bool { left.storage === right.storage }

  /// Calls `body` with the state; nothing slow belongs inside.
  // Inlinable: so the state is no generic value to whoever calls this a million times a second.
  @inlinable public func withLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    // Safe: the lock is held from here to the end, on every path.
    try unsafe storage.withUnsafeMutablePointers { (state, lock) throws(E) in
      unsafe MonitorLock.acquire(lock)
      defer { unsafe MonitorLock.release(lock) }
      return try unsafe body(&state.pointee)
    }
  }

  /// As ``withLock(_:)``, and wakes nobody: for a look, or a change that nobody waits for.
  @inlinable public func withQuietLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    // Safe: as above.
    try unsafe storage.withUnsafeMutablePointers { (state, lock) throws(E) in
      unsafe MonitorLock.acquire(lock)
      defer { unsafe MonitorLock.releaseQuietly(lock) }
      return try unsafe body(&state.pointee)
    }
  }

  /// Waits until `ready` gives a value. It is asked under the lock, now and after every change; when it gives one it
  /// may have changed the state, and when it gives nil it must not have.
  public func wait<R>(until ready: (inout State) -> R?) -> R {
    unsafe storage.withUnsafeMutablePointers { (state, lock) in
      unsafe MonitorLock.acquire(lock)
      defer { unsafe MonitorLock.release(lock) }
      while true {
        if let result = unsafe ready(&state.pointee) { return result }
        _ = unsafe MonitorLock.waitForChange(lock, until: nil)
      }
    }
  }

  /// As ``wait(until:)``, giving up with nil after `seconds`.
  public func wait<R>(seconds: Double, until ready: (inout State) -> R?) -> R? {
    let deadline = Clock.monotonicNanoseconds() + Int64(max(0, min(seconds, 1e9)) * 1e9)
    let time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
    return unsafe storage.withUnsafeMutablePointers { (state, lock) in
      unsafe MonitorLock.acquire(lock)
      defer { unsafe MonitorLock.release(lock) }
      while true {
        if let result = unsafe ready(&state.pointee) { return result }
        if unsafe !MonitorLock.waitForChange(lock, until: time) { return unsafe ready(&state.pointee) }
      }
    }
  }
}

/// The object of a monitor.
@usableFromInline final class MonitorStorage<State>: ManagedBuffer<State, MonitorLock> {
  deinit {
    // Safe: made with the object, and held by nobody any more.
    _ = unsafe withUnsafeMutablePointerToElements { lock in unsafe MonitorLock.destroy(lock) }
  }
}

/// A mutex and a condition, at an address that stays. All of it works on that address, since many threads do at once.
@safe @usableFromInline struct MonitorLock {
  @usableFromInline typealias Pointer = UnsafeMutablePointer<MonitorLock>

  private var mutex = unsafe pthread_mutex_t()
  private var changed = pthread_cond_t()
  /// Who waits for a change; touched under the mutex.
  private var waiterCount = 0

  // Safe, all of these: `lock` is the memory of a monitor, which its caller keeps.

  static func initialize(_ lock: Pointer) {
    unsafe lock.initialize(to: MonitorLock())
    unsafe pthread_mutex_init(mutex(lock), nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(changed(lock), &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  static func destroy(_ lock: Pointer) {
    unsafe pthread_cond_destroy(changed(lock))
    unsafe pthread_mutex_destroy(mutex(lock))
  }

  @usableFromInline static func acquire(_ lock: Pointer) { unsafe pthread_mutex_lock(mutex(lock)) }

  /// Wakes those who wait for a change, and lets others in.
  @usableFromInline static func release(_ lock: Pointer) {
    if unsafe lock.pointee.waiterCount > 0 { unsafe pthread_cond_broadcast(changed(lock)) }
    unsafe pthread_mutex_unlock(mutex(lock))
  }

  /// Lets others in, and wakes nobody.
  @usableFromInline static func releaseQuietly(_ lock: Pointer) { unsafe pthread_mutex_unlock(mutex(lock)) }

  /// Lets others in until one of them has let go again.
  /// - Returns: False when `deadline` has passed.
  static func waitForChange(_ lock: Pointer, until deadline: timespec?) -> Bool {
    unsafe lock.pointee.waiterCount += 1
    defer { unsafe lock.pointee.waiterCount -= 1 }
    guard var deadline else { return unsafe pthread_cond_wait(changed(lock), mutex(lock)) == 0 }
    return unsafe pthread_cond_timedwait(changed(lock), mutex(lock), &deadline) != ETIMEDOUT
  }

  private static func mutex(_ lock: Pointer) -> UnsafeMutablePointer<pthread_mutex_t> {
    unsafe UnsafeMutableRawPointer(lock).assumingMemoryBound(to: pthread_mutex_t.self)
  }

  private static func changed(_ lock: Pointer) -> UnsafeMutablePointer<pthread_cond_t> {
    let offset = unsafe MemoryLayout<pthread_mutex_t>.stride
    return unsafe (UnsafeMutableRawPointer(lock) + offset).assumingMemoryBound(to: pthread_cond_t.self)
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
