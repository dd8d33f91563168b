import Glibc

/// State behind a lock with waiting, which `Mutex` lacks: for what the threads of the shell tell one another.
///
/// Every change wakes the waiting threads, which look again at what they wait for.
@safe package final class SharedState<Value>: @unchecked Sendable {
  // Unchecked: `value` is touched only while the mutex is held.
  private var value: Value
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>

  /// Takes over `value`.
  package init(_ value: sending Value) {
    self.value = value
    // Safe: both get a fixed address, are made before anyone can see them, and are freed in `deinit`.
    unsafe mutex = .allocate(capacity: 1)
    unsafe changed = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    // A clock that nobody sets: a wait with a time limit is as long as it says.
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(changed, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    // Safe: nobody waits for an object that nobody refers to.
    unsafe pthread_cond_destroy(changed)
    unsafe pthread_mutex_destroy(mutex)
    unsafe changed.deallocate()
    unsafe mutex.deallocate()
  }

  /// Calls `body` with the value; nothing slow belongs inside.
  package func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
    wait { value in Optional(body(&value)) }
  }

  /// Waits until `ready` gives something. It is asked under the lock, now and after every change; when it gives
  /// nothing it must not have changed the value.
  package func wait<Result>(until ready: (inout Value) -> Result?) -> Result {
    // Safe: the lock is held from here to the end, but for the waits.
    unsafe pthread_mutex_lock(mutex)
    defer {
      unsafe pthread_cond_broadcast(changed)
      unsafe pthread_mutex_unlock(mutex)
    }
    while true {
      if let result = ready(&value) { return result }
      unsafe pthread_cond_wait(changed, mutex)
    }
  }

  /// As ``wait(until:)``, giving up with nil after `timeoutSeconds`.
  package func wait<Result>(timeoutSeconds: Double, until ready: (inout Value) -> Result?) -> Result? {
    let deadline = MonotonicClock.seconds() + max(0, min(timeoutSeconds, 1e9))
    var time = timespec(tv_sec: Int(deadline), tv_nsec: Int((deadline - deadline.rounded(.down)) * 1e9))
    // Safe: as above; `time` lives through the calls.
    unsafe pthread_mutex_lock(mutex)
    defer {
      unsafe pthread_cond_broadcast(changed)
      unsafe pthread_mutex_unlock(mutex)
    }
    while true {
      if let result = ready(&value) { return result }
      if unsafe pthread_cond_timedwait(changed, mutex, &time) == ETIMEDOUT { return ready(&value) }
    }
  }
}
