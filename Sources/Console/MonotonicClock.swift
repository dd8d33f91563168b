import Glibc

/// A clock that never goes back, for measuring.
package enum MonotonicClock {
  /// Seconds since an arbitrary moment, the same for all processes until the machine restarts; stands still while
  /// the machine sleeps.
  package static func seconds() -> Double {
    var time = timespec()
    // Safe: the structure outlives the call, which cannot fail for this clock.
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
