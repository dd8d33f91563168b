import Glibc

/// The ends of this process.
package enum ProcessExit {
  /// Ends the process at once: no exit handlers, no flushing, other threads stop where they are.
  package static func immediately(_ status: Int32) -> Never { _exit(status) }

  /// Ends the process after its exit handlers.
  package static func normally(_ status: Int32) -> Never { exit(status) }
}
